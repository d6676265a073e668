"""Sound: a vocoder's spectra as samples, samples as a WAV file.

Source: WavTokenizer's ISTFT head; WasmEdge's GGML/tts/tts_core.cpp.
"""

import io
import wave

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 24_000
"""Samples a second."""
WINDOW = 1280
"""Samples of a frame, which are those of its Fourier transform."""
HOP = 320
"""Samples from one frame to the next."""
BINS = WINDOW // 2 + 1
SPECTRUM = 2 * BINS
"""Values of a frame: the logarithm of each bin's magnitude, then each bin's phase."""
LOUDEST = 100.0
"""The largest magnitude of a bin."""
SILENCED = SAMPLE_RATE // 4
"""Samples at the beginning that are made silent, since they hold the speaker's last sound."""

_OVERLAP = WINDOW // HOP
_TRIM = (WINDOW - HOP) // 2
_FULL_SCALE = 32767

Floats = npt.NDArray[np.float32]


def samples(spectra: Floats) -> Floats:
    """The sound of ``spectra``, shape (frames, SPECTRUM): HOP samples a frame."""
    magnitude = np.exp(np.minimum(spectra[:, :BINS], np.log(LOUDEST)))
    frames = np.fft.irfft(magnitude * np.exp(1j * spectra[:, BINS:]), WINDOW)
    window = np.hanning(WINDOW + 1)[:-1]
    weights = np.broadcast_to(window**2, frames.shape)
    sound = _overlapped(frames * window) / _overlapped(weights)
    return sound.astype(np.float32)


def _overlapped(frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum of frames that begin HOP samples after each other, without the fading ends."""
    count = len(frames)
    total = np.zeros((count + _OVERLAP - 1, HOP))
    for part in range(_OVERLAP):
        total[part : part + count] += frames[:, part * HOP : (part + 1) * HOP]
    return total.reshape(-1)[_TRIM : _TRIM + count * HOP]


def wav(sound: Floats) -> bytes:
    """``sound``, of values from -1 to 1, as a WAV file: mono, 16 bits a sample."""
    levels = np.clip(sound * _FULL_SCALE, -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(levels.itemsize)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(levels.tobytes())
    return file.getvalue()
