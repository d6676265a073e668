"""Characters that nobody can guess, put into a conversation to find its texts again in a prompt.

Control tokens spelt out in what a user says stay text: where a text has the name of a control
token in it, or could become one beside another text, one of its characters is changed for a
private one before the template sees it, and changed back in the prompt. So the template's own
control tokens are told from a user's, and the template sees everything else as it is.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_PRIVATE = range(0xF0000, 0x10FFFE)
"""Unicode's supplementary private use areas."""
_KEPT = frozenset(("role", "type"))
"""Names of values that are no text of a user's: a role is checked, a type is the interface's."""
THOUGHTS = ("<think>", "</think>", "[THINK]", "[/THINK]", "<seed:think>", "</seed:think>")
"""Names that templates look for in what an assistant said, whatever kind of token they are."""


class Private:
    """Private characters that do not occur in some texts."""

    def __init__(self, values: Any) -> None:
        self._used: set[str] = set()
        each(values, self._used.update)

    def draw(self) -> str:
        """A character that was not there before."""
        while True:
            drawn = chr(_PRIVATE[secrets.randbelow(len(_PRIVATE))])
            if drawn not in self._used and ord(drawn) & 0xFFFE != 0xFFFE:
                self._used.add(drawn)
                return drawn


class Controls:
    """The names of a vocabulary's control tokens."""

    def __init__(self, names: Iterable[str]) -> None:
        ordered = sorted({*names} - {"", *THOUGHTS}, key=len, reverse=True)
        self._anywhere = re.compile(f"(?=({'|'.join(map(re.escape, ordered)) or '(?!)'}))")
        self._begins = frozenset(name[:end] for name in ordered for end in range(1, len(name)))
        self._ends = frozenset(name[start:] for name in ordered for start in range(1, len(name)))
        self._longest = max(map(len, ordered), default=0)

    def risky(self, text: str) -> set[int]:
        """Where ``text`` must be marked so that no control token has characters of it."""
        found = {match.start() for match in self._anywhere.finditer(text)}
        inner = text.strip()
        first, last = len(text) - len(text.lstrip()), len(text.rstrip())
        for length in range(1, min(self._longest, len(inner) + 1)):
            if inner[-length:] in self._begins:
                found.add(last - length)
            if inner[:length] in self._ends:
                found.add(first + length - 1)
        return found


@dataclass(frozen=True)
class Marked:
    """``values`` in which risky characters are marks, and what each mark stands for."""

    values: Any
    marks: Mapping[str, str]

    def restore(self, text: str) -> tuple[str, frozenset[int]]:
        """``text`` with its characters back, and the positions of those."""
        for mark, character in self.marks.items():
            again = mark if character.isascii() else _escaped(character)
            text = text.replace(_escaped(mark), again)
        at = frozenset(index for index, character in enumerate(text) if character in self.marks)
        return text.translate({ord(mark): character for mark, character in self.marks.items()}), at


def mark(values: Any, controls: Controls, private: Private) -> Marked:
    """Mark what is risky in the texts of ``values``, whose structure stays."""
    texts: set[str] = set()
    each(values, texts.add)
    risks = {text: at for text in texts if (at := controls.risky(text))}
    if not risks:
        return Marked(values, {})
    risky = sorted({text[index] for text, at in risks.items() for index in at})
    marks = {character: private.draw() for character in risky}

    def changed(text: str) -> str:
        at = risks.get(text, ())
        return "".join(marks[c] if index in at else c for index, c in enumerate(text))

    swapped = {mark: character for character, mark in marks.items()}
    return Marked(each(values, lambda text: changed(text) if text in risks else text), swapped)


def each(value: Any, change: Callable[[str], Any], name: str = "") -> Any:
    """``value`` with every text in it changed, but roles and types."""
    if isinstance(value, str):
        return value if name in _KEPT else change(value)
    if isinstance(value, list):
        return [each(item, change) for item in value]
    if isinstance(value, dict):
        return {change(key): each(item, change, key) for key, item in value.items()}
    return value


def _escaped(character: str) -> str:
    """``character`` as a template writes it that asks for ASCII."""
    return json.dumps(character)[1:-1]
