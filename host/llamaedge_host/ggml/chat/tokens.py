"""A prompt's tokens: control tokens where the template wrote them, and nowhere else."""

from collections.abc import Iterable, Iterator

from ..llama.vocabulary import Special, Vocabulary

Part = tuple[int, str | Special]
"""A part of a text, and where it starts."""
_SPACES = " \t\n\v\f\r"


def tokenize(vocabulary: Vocabulary, text: str, typed: frozenset[int]) -> list[int]:
    """The tokens of ``text``, in which the characters at ``typed`` make no control token.

    The token that begins a text comes before it where the model expects it, and not a second
    time where the template writes it.
    """
    begin, end = vocabulary.frame
    tokens = [*begin]
    for part, control in runs(vocabulary, text, typed):
        tokens += vocabulary.tokenize(part, special=False, control=control)
    tokens += end
    return tokens[1:] if begin and tokens[:2] == begin * 2 else tokens


def runs(vocabulary: Vocabulary, text: str, typed: frozenset[int]) -> list[tuple[bytes, bool]]:
    """``text`` in parts to be tokenised one by one, and whether control tokens are read in each.

    They are cut at control tokens, where the whole would be, around what has characters at
    ``typed``; so without those there is one.
    """
    if not typed:
        return [(_raw(text), True)] if text else []
    parts = partition(text, vocabulary.specials, typed)
    made: list[tuple[bytes, bool]] = []
    clean = ""
    for before, part, after in zip([None, *parts], parts, [*parts[1:], None], strict=False):
        start, found = part
        if isinstance(found, Special):
            clean += found.name
        elif typed.isdisjoint(range(start, start + len(found))):
            clean += found
        else:
            made += [(_raw(clean), True)] if clean else []
            clean = ""
            made += [(_raw(_stripped(found, before, after)), False)]
    return [(raw, control) for raw, control in [*made, (_raw(clean), True)] if raw]


def _stripped(text: str, before: Part | None, after: Part | None) -> str:
    """``text`` without the white space that the tokens beside it take."""
    if before and isinstance(before[1], Special) and before[1].strips_right:
        text = text.lstrip(_SPACES)
    if after and isinstance(after[1], Special) and after[1].strips_left:
        text = text.rstrip(_SPACES)
    return text


def _raw(text: str) -> bytes:
    return text.encode(errors="replace")


def partition(text: str, specials: Iterable[Special], typed: frozenset[int]) -> list[Part]:
    """``text`` parted at its special tokens as llama.cpp does it, one token after the other.

    A control token with a character at ``typed`` is none.
    """
    parts: list[Part] = [(0, text)]
    for special in specials:
        if special.name in text:
            parts = [piece for part in parts for piece in _cut(part, special, typed)]
    return parts


def _cut(part: Part, special: Special, typed: frozenset[int]) -> Iterator[Part]:
    start, text = part
    if isinstance(text, Special):
        yield part
        return
    begun = 0
    at = text.find(special.name)
    while at >= 0:
        end = at + len(special.name)
        if special.control and not typed.isdisjoint(range(start + at, start + end)):
            at = text.find(special.name, at + 1)
            continue
        if text[begun:at]:
            yield start + begun, text[begun:at]
        yield start + at, special
        begun = end
        at = text.find(special.name, end)
    if text[begun:]:
        yield start + begun, text[begun:]
