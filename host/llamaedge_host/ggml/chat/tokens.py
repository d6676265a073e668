"""A prompt's tokens: control tokens where the template wrote them, and nowhere else."""

from collections.abc import Iterable, Iterator

from ..llama.vocabulary import Special, Vocabulary

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

    They are cut where the whole would be, so that without ``typed`` there is one.
    """
    if not typed:
        return [(_raw(text), True)] if text else []
    parts = partition(text, vocabulary.specials, typed)
    made: list[tuple[bytes, bool]] = []
    for before, part, after in zip([None, *parts], parts, [*parts[1:], None], strict=False):
        if isinstance(part, Special):
            made.append((_raw(part.name), True))
            continue
        if isinstance(before, Special) and before.strips_right:
            part = part.lstrip(_SPACES)
        if isinstance(after, Special) and after.strips_left:
            part = part.rstrip(_SPACES)
        if part:
            made.append((_raw(part), False))
    return made


def _raw(text: str) -> bytes:
    return text.encode(errors="replace")


def partition(text: str, specials: Iterable[Special], typed: frozenset[int]) -> list[str | Special]:
    """``text`` parted at its special tokens as llama.cpp does it, one token after the other.

    A control token with a character at ``typed`` is none.
    """
    parts: list[tuple[int, str] | Special] = [(0, text)]
    for special in specials:
        if special.name in text:
            parts = [piece for part in parts for piece in _cut(part, special, typed)]
    return [part if isinstance(part, Special) else part[1] for part in parts]


def _cut(
    part: tuple[int, str] | Special, special: Special, typed: frozenset[int]
) -> Iterator[tuple[int, str] | Special]:
    if isinstance(part, Special):
        yield part
        return
    start, text = part
    begun = 0
    at = text.find(special.name)
    while at >= 0:
        end = at + len(special.name)
        if special.control and not typed.isdisjoint(range(start + at, start + end)):
            at = text.find(special.name, at + 1)
            continue
        if text[begun:at]:
            yield start + begun, text[begun:at]
        yield special
        begun = end
        at = text.find(special.name, end)
    if text[begun:]:
        yield start + begun, text[begun:]
