"""A model's vocabulary: text to tokens and tokens to text. Safe to use from any thread."""

import codecs
import ctypes
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from ...nn.errno import NnErrno
from ..errors import GgmlError
from .library import llama

_PIECE = 64
_CONTROL = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN
_WHOLE = _CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
_ENDS = llama.llama_vocab_eos, llama.llama_vocab_eot

_NAMED = {
    "bos_token": llama.llama_vocab_bos,
    "eos_token": llama.llama_vocab_eos,
    "sep_token": llama.llama_vocab_sep,
    "pad_token": llama.llama_vocab_pad,
    "mask_token": llama.llama_vocab_mask,
}

_INFILL = (llama.llama_vocab_fim_pre, llama.llama_vocab_fim_suf, llama.llama_vocab_fim_mid)

Tokens = npt.NDArray[np.int32]
_NUMBER = re.compile(r"<\[([0-9]{1,10})\]>")


@dataclass(frozen=True)
class Special:
    """A token that is read whole where its ``name`` stands in a text.

    One that ``strips_left`` or ``strips_right`` takes the white space there with it.
    """

    token: int
    name: str
    control: bool
    strips_left: bool = False
    strips_right: bool = False


class Vocabulary:
    """The vocabulary of a loaded model, whose metadata has names for the tokens ``named``.

    Raises GgmlError for one that cannot be used.
    """

    def __init__(self, pointer: ctypes.c_void_p, named: Iterable[int] = ()) -> None:
        self.pointer = pointer
        self._named = named
        _check(pointer)
        self.size: int = llama.llama_vocab_n_tokens(pointer)
        self._pieces: list[bytes | None] = [None] * self.size
        self._ends: list[bool | None] = [None] * self.size

    def tokenize(self, text: bytes, *, special: bool = True, control: bool = True) -> list[int]:
        """The tokens of ``text``; with ``special`` those are added that the model expects.

        With ``control`` the name of a control token is that token, without it is text.
        """
        count = len(text) + 2
        for _ in range(2):
            tokens = (llama.llama_token * count)()
            made: int = llama.llama_tokenize(
                self.pointer, text, len(text), tokens, count, special, control
            )
            if made >= 0:
                break
            count = -made
        else:
            raise GgmlError(NnErrno.RUNTIME_ERROR, "the prompt cannot be tokenised")
        return list(tokens[:made])

    def tokens(self, numbers: bytes) -> list[int]:
        """The tokens in little-endian 32-bit ``numbers``."""
        tokens = [number for (number,) in struct.iter_unpack("<i", numbers[: len(numbers) & ~3])]
        if len(numbers) % 4 or not all(0 <= token < self.size for token in tokens):
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                f"a prompt of numbers must have 32 bits each, from 0 to {self.size - 1}",
            )
        return tokens

    def piece(self, token: int) -> bytes:
        """The bytes that ``token`` stands for; a special token's are its name."""
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = self._piece(token, _PIECE)
        return piece

    def _piece(self, token: int, room: int) -> bytes:
        buffer = ctypes.create_string_buffer(room)
        made: int = llama.llama_token_to_piece(self.pointer, token, buffer, room, 0, True)
        return self._piece(token, -made) if made < 0 else buffer.raw[:made]

    @cached_property
    def specials(self) -> tuple["Special", ...]:
        """The tokens that llama.cpp reads whole, by name, before it tokenises the rest."""
        found = []
        kinds = map(llama.llama_vocab_get_attr, repeat(self.pointer), range(self.size))
        for token, kind in enumerate(kinds):
            if kind & _WHOLE:
                name: bytes = llama.llama_vocab_get_text(self.pointer, token) or b""
                found.append(
                    Special(
                        token,
                        name.decode(errors="replace"),
                        control=bool(kind & _CONTROL),
                        strips_left=bool(kind & llama.LLAMA_TOKEN_ATTR_LSTRIP),
                        strips_right=bool(kind & llama.LLAMA_TOKEN_ATTR_RSTRIP),
                    )
                )
        return tuple(sorted(found, key=lambda each: -len(each.name.encode())))

    @cached_property
    def names(self) -> dict[str, str]:
        """The special tokens that a chat template is told, where the model has them."""
        tokens = {name: token(self.pointer) for name, token in _NAMED.items()}
        return {
            name: (llama.llama_vocab_get_text(self.pointer, token) or b"").decode(errors="replace")
            for name, token in tokens.items()
            if token != llama.LLAMA_TOKEN_NULL
        }

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The tokens that the model expects before a text and after it."""
        added = self.tokenize(b"")
        begins = bool(llama.llama_vocab_get_add_bos(self.pointer))
        return added[:begins], added[begins:]

    @cached_property
    def pairing(self) -> tuple[list[int], list[int], list[int]]:
        """The tokens before, between and behind two texts that a model compares."""
        pointer = self.pointer
        begin, sep = llama.llama_vocab_bos(pointer), llama.llama_vocab_sep(pointer)
        end = llama.llama_vocab_eos(pointer)
        end = sep if end == llama.LLAMA_TOKEN_NULL else end
        ends = [end] if llama.llama_vocab_get_add_eos(pointer) else []
        between = [sep] if llama.llama_vocab_get_add_sep(pointer) else []
        begins = [begin] if llama.llama_vocab_get_add_bos(pointer) else []
        return begins, [*ends, *between], ends

    @cached_property
    def infill(self) -> tuple[int, int, int] | None:
        """The tokens before what precedes a gap, what follows it, and what fills it, if any."""
        before, behind, middle = (token(self.pointer) for token in _INFILL)
        if llama.LLAMA_TOKEN_NULL in (before, behind, middle):
            return None
        return before, behind, middle

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end a generation.

        llama.cpp takes them by their texts, and makes these special, or as the metadata names
        them; for the end of a sequence and of a turn it has defaults.
        """
        known = {each.token for each in self.specials}.union(self._named)
        known |= {token(self.pointer) for token in _ENDS}
        return sorted(each for each in known if 0 <= each < self.size and self.is_end(each))

    def named(self, name: str) -> int:
        """The token that a grammar's <name> or <[number]> is, -1 if it is none."""
        if number := _NUMBER.fullmatch(name):
            return int(number[1])
        tokens = self.tokenize(name.encode(), special=False)
        return tokens[0] if len(tokens) == 1 else -1

    def is_end(self, token: int) -> bool:
        """Whether ``token`` ends a generation."""
        end = self._ends[token]
        if end is None:
            end = self._ends[token] = bool(llama.llama_vocab_is_eog(self.pointer, token))
        return end


def _check(pointer: ctypes.c_void_p) -> None:
    """Refuse a vocabulary on which llama_tokenize ends the process."""
    kind = llama.llama_vocab_type(pointer)
    if kind == llama.LLAMA_VOCAB_TYPE_NONE:
        raise GgmlError(NnErrno.INVALID_ARGUMENT, "the model has no vocabulary")
    wordpiece = kind == llama.LLAMA_VOCAB_TYPE_WPM
    needed = (
        ("bos", wordpiece or llama.llama_vocab_get_add_bos(pointer), llama.llama_vocab_bos),
        ("eos", llama.llama_vocab_get_add_eos(pointer), llama.llama_vocab_eos),
        (
            "separator",
            wordpiece or llama.llama_vocab_get_add_sep(pointer),
            llama.llama_vocab_sep,
        ),
    )
    for name, added, token in needed:
        if added and token(pointer) == llama.LLAMA_TOKEN_NULL:
            raise GgmlError(NnErrno.INVALID_ARGUMENT, f"the vocabulary has no {name} token")


class Decoder:
    """Cuts pieces so that each holds whole characters; bytes that are none become U+FFFD."""

    def __init__(self) -> None:
        self._decoder: Any = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, piece: bytes, final: bool) -> bytes:
        """What of ``piece`` and what was kept back is whole; everything if ``final``."""
        text: str = self._decoder.decode(piece, final)
        return text.encode()
