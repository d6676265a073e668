"""OuteTTS's side of speech: the prompt for a text, and the codes in what follows it.

Source: WasmEdge's GGML/tts/tts_core.cpp, OuteTTS's prompt processor of version 1.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.vocabulary import Vocabulary

MAX_PROFILE = 1 << 20
"""Bytes of a speaker's profile."""

_SEPARATOR = "<|text_sep|>"
_CODE = re.compile(rb"<\|(\d{1,5})\|>")
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
)
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS, _TENS = _NUMERALS.split(), _DECADES.split()
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_LARGEST = 10**12
"""A number from here on is read digit by digit."""


@dataclass(frozen=True)
class Speaker:
    """Who speaks: what they said before, as the model's text and as its codes."""

    text: str = "<|text_start|>"
    audio: str = "<|audio_start|>\n"

    @classmethod
    def parse(cls, document: bytes) -> "Speaker":
        """Read OuteTTS's JSON: ``words``, each with ``word``, ``duration`` (s) and ``codes``.

        Raises GgmlError (INVALID_ARGUMENT) for anything else.
        """
        try:
            words = json.loads(document)["words"]
            rows = [
                (str(w["word"]), float(w["duration"]), list(map(int, w["codes"]))) for w in words
            ]
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                "the speaker's profile is not OuteTTS's JSON of words, durations and"
                f" codes: {type(error).__name__}: {error!s:.100}",
            ) from None
        said = "".join(f"{word}{_SEPARATOR}" for word, _, _ in rows)
        lines = (
            f"{word}<|t_{duration:.2f}|><|code_start|>"
            f"{''.join(f'<|{code}|>' for code in codes)}<|code_end|>\n"
            for word, duration, codes in rows
        )
        return cls(cls.text + said, cls.audio + "".join(lines))


def prompt(text: bytes, speaker: Speaker, vocabulary: Vocabulary) -> list[int]:
    """The tokens that make the model say ``text`` as ``speaker``.

    Raises GgmlError (INVALID_ARGUMENT) for a text without a letter or digit that it can say.
    """
    words = spoken(text.decode(errors="replace"))
    if not words:
        raise GgmlError(NnErrno.INVALID_ARGUMENT, "there is no word to speak")
    parts = (speaker.text, _SEPARATOR.join(words), "<|text_end|>\n", speaker.audio)
    tokens = vocabulary.tokenize(b"<|im_start|>\n")
    for part in parts:
        tokens += vocabulary.tokenize(part.encode(), special=False)
    return tokens


def spoken(text: str) -> list[str]:
    """The words of ``text`` as the model was taught them: a to z alone, numbers spelt."""
    spelt = _NUMBER.sub(lambda match: _spelt(match[0]), text).lower()
    return re.sub(r"[^a-z\s]", "", re.sub(r"[-_/,.\\]", " ", spelt)).split()


def _spelt(number: str) -> str:
    whole, _, fraction = number.partition(".")
    value = int(whole) if len(whole) <= len(str(_LARGEST)) else _LARGEST
    words = _words(value) if value < _LARGEST else _digits(whole)
    return " ".join([*words, "point", *_digits(fraction)] if fraction else words)


def _digits(number: str) -> list[str]:
    return [_UNITS[int(digit)] for digit in number]


def _words(value: int) -> list[str]:
    for scale, name in _SCALES:
        if value >= scale:
            rest = value % scale
            return [*_words(value // scale), name, *(_words(rest) if rest else [])]
    if value < len(_UNITS):
        return [_UNITS[value]]
    rest = value % 10
    return [_TENS[value // 10 - 2], *([_UNITS[rest]] if rest else [])]


def codes(pieces: Iterable[bytes]) -> list[int]:
    """The vocoder's codes among a model's ``pieces``: those named by a number, as ``<|17|>``."""
    return [int(match[1]) for piece in pieces if (match := _CODE.fullmatch(piece))]
