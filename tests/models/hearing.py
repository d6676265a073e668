"""A model that hears, with random weights: a projector of Ultravox's kind for ``tiny.llama``."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .tiny import FEED, HEADS, LAYERS, WIDTH, _Writer

TOKENS = 50
"""What half a minute of sound becomes."""
_MEL = 80
_POSITIONS = 1500
_STACK = _POSITIONS // TOKENS


class _Ears(_Writer):
    def kernel(self, name: str, inputs: int) -> None:
        """A convolution over three frames (F16, as ggml has them), and its bias."""
        values: npt.NDArray[np.float64] = self._random.standard_normal((WIDTH, inputs, 3))
        values /= np.sqrt(3 * inputs)
        self.gguf.add_tensor(f"{name}.weight", values.astype(np.float16))
        self.constant(f"{name}.bias", WIDTH, 1, value=0.0)


def ears(path: Path, *, seed: int = 0, positions: int = _POSITIONS) -> Path:
    """The projector; one with other ``positions`` than half a minute has cannot be computed."""
    file = _Ears(path, "clip", seed)
    keys = file.gguf
    keys.add_bool("clip.has_audio_encoder", True)
    keys.add_clip_projector_type("ultravox")
    for name, value in (
        *(("embedding_length", WIDTH), ("feed_forward_length", FEED), ("projection_dim", WIDTH)),
        *(("attention.head_count", HEADS), ("block_count", LAYERS), ("num_mel_bins", _MEL)),
        ("projector.stack_factor", _STACK),
    ):
        keys.add_uint32(f"clip.audio.{name}", value)
    keys.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-5)
    file.kernel("a.conv1d.1", _MEL)
    file.kernel("a.conv1d.2", WIDTH)
    file.weights("a.position_embd.weight", positions, WIDTH)
    for layer in range(LAYERS):
        block = f"a.blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            file.weights(f"{block}.{part}.weight", WIDTH, WIDTH)
            if part != "attn_k":
                file.constant(f"{block}.{part}.bias", WIDTH, value=0.0)
        file.weights(f"{block}.ffn_up.weight", FEED, WIDTH)
        file.constant(f"{block}.ffn_up.bias", FEED, value=0.0)
        file.weights(f"{block}.ffn_down.weight", WIDTH, FEED)
        file.constant(f"{block}.ffn_down.bias", WIDTH, value=0.0)
        for norm in ("ln1", "ln2"):
            file.constant(f"{block}.{norm}.weight", WIDTH)
            file.constant(f"{block}.{norm}.bias", WIDTH, value=0.0)
    file.constant("a.post_ln.weight", WIDTH)
    file.constant("a.post_ln.bias", WIDTH, value=0.0)
    file.constant("mm.a.norm_pre.weight", WIDTH * _STACK)
    file.weights("mm.a.mlp.1.weight", 2 * FEED, WIDTH * _STACK)
    file.constant("mm.a.norm_mid.weight", FEED)
    file.weights("mm.a.mlp.2.weight", WIDTH, FEED, scale=WIDTH**0.5)
    file.close()
    return path
