"""Reads GBNF, llama.cpp's notation of grammars, as llama.cpp reads it.

Source: llama.cpp's grammars/README.md and src/llama-grammar.cpp.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARACTERS = 1 << 17
MAX_NESTING = 60
"""Brackets and repetitions within one another."""
MAX_ITEMS = 1 << 16
"""Characters, names and brackets in all rules."""
MAX_REPETITIONS = 2000
"""llama.cpp refuses to repeat more often, and takes a larger upper bound for none."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\#[^\r\n]*)|(?P<line>[\r\n]+)|(?P<name>[a-zA-Z0-9-]+)|(?P<is>::=)
    |(?P<text>"(?:[^"\\]|\\.)*")|(?P<set>\[(?:[^\]\\]|\\.)*\])|(?P<token>!?<[^>]*>)
    |(?P<times>[*+?]|\{\s*\d{1,20}\s*(?:,\s*\d{0,20}\s*)?\})|(?P<mark>[|().])""",
    re.VERBOSE | re.DOTALL,
)
_CHARACTER = re.compile(
    r'\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([trn\\"\[\]-]))|([^\\])',
    re.DOTALL,
)
_ESCAPES = {"t": 9, "r": 13, "n": 10}
_TIMES: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_SURROGATES = range(0xD800, 0xE000)
_LAST = 0x10FFFF


class GrammarError(Exception):
    """A grammar cannot be used; the message says why."""


@dataclass(frozen=True, eq=False)
class Characters:
    """One character of ``ranges``, whose ends belong to them: in order, none touching the next."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Token:
    """One token, as <[123]> or <name>, or with ``negated`` any other."""

    text: str
    negated: bool


@dataclass(frozen=True, eq=False)
class Name:
    """What the rule ``name`` stands for."""

    name: str


@dataclass(frozen=True, eq=False)
class Sequence:
    """All of ``items``, one after the other."""

    items: tuple["Node", ...]


@dataclass(frozen=True, eq=False)
class Choice:
    """One of ``items``."""

    items: tuple["Node", ...]


@dataclass(frozen=True, eq=False)
class Repeat:
    """``item``, ``least`` times or more, at most ``most`` times if that is not None."""

    item: "Node"
    least: int
    most: int | None


Node = Characters | Token | Name | Sequence | Choice | Repeat
"""A part of a rule. Two are the same only if they are the same object."""

_of = lru_cache(maxsize=1024)(Characters)
ANY = _of(((0, _SURROGATES.start - 1), (_SURROGATES.stop, _LAST)))


def read(text: str) -> dict[str, Node]:
    """The rules of the GBNF ``text`` by their names. Raises GrammarError."""
    if len(text) > MAX_CHARACTERS:
        raise GrammarError(f"it has {len(text)} characters, over {MAX_CHARACTERS}")
    return _Reader(text).rules


class _Reader:
    def __init__(self, text: str) -> None:
        self.rules: dict[str, Node] = {}
        self._named: set[str] = set()
        self._items = 0
        self._depth = 0
        self._text = text
        self._tokens = _tokens(text)
        self._next()
        self._skip_lines()
        while self._kind:
            self._rule()
        for name in sorted(self._named - self.rules.keys()):
            raise GrammarError(f"it has no rule {name:.60}")

    def _next(self) -> None:
        self._kind, self._at, self._word = next(self._tokens, ("", len(self._text), ""))

    def _skip_lines(self) -> None:
        while self._kind == "line":
            self._next()

    def _expected(self, what: str) -> GrammarError:
        return GrammarError(f"it needs {what} at {self._text[self._at : self._at + 40]!r}")

    def _rule(self) -> None:
        name = self._word
        if self._kind != "name":
            raise self._expected("a rule's name")
        self._next()
        if self._kind != "is":
            raise self._expected("::=")
        self._next()
        self._skip_lines()
        self.rules[name] = self._alternatives()
        if self._kind not in ("line", ""):
            raise self._expected("the rule's end")
        self._skip_lines()

    def _alternatives(self) -> Node:
        alternatives = [self._sequence()]
        while self._word == "|":
            self._next()
            self._skip_lines()
            alternatives.append(self._sequence())
        return alternatives[0] if len(alternatives) == 1 else Choice(tuple(alternatives))

    def _sequence(self) -> Node:
        items: list[Node] = []
        last = repeats = 0
        while True:
            if self._kind == "times":
                repeats += 1
                if last == len(items):
                    raise self._expected(f"something before {self._word}")
                if self._depth + repeats > MAX_NESTING:
                    raise GrammarError(f"it nests more than {MAX_NESTING} repetitions")
                items[last:] = [_repeated(_sequence(items[last:]), self._word)]
            else:
                more = self._item()
                if more is None:
                    return _sequence(items)
                last, repeats = len(items), 0
                items += more
                self._items += 1 + len(more)
                if self._items > MAX_ITEMS:
                    raise GrammarError(f"it has more than {MAX_ITEMS} characters and names")
            self._next()
            if self._depth:
                self._skip_lines()

    def _item(self) -> list[Node] | None:
        if self._kind == "text":
            return [_of(((each, each),)) for each, _ in _characters(self._word)]
        if self._kind == "set":
            return _set(self._word)
        if self._kind == "token":
            return [Token(self._word.removeprefix("!"), self._word[0] == "!")]
        if self._kind == "name":
            self._named.add(self._word)
            return [Name(self._word)]
        if self._word == ".":
            return [ANY]
        return [self._group()] if self._word == "(" else None

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise GrammarError(f"it nests more than {MAX_NESTING} brackets")
        self._next()
        self._skip_lines()
        made = self._alternatives()
        if self._word != ")":
            raise self._expected(")")
        self._depth -= 1
        return made


def _sequence(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Sequence(tuple(items))


def _repeated(item: Node, times: str) -> Node:
    least, most = _TIMES[times] if times in _TIMES else _bounds(times)
    if least > MAX_REPETITIONS or (most is not None and most < least):
        raise GrammarError(f"it cannot repeat {times}")
    return Repeat(item, least, most)


def _bounds(times: str) -> tuple[int, int | None]:
    least, comma, most = times.strip("{}").partition(",")
    if not comma:
        return int(least), int(least)
    most = most.strip()
    bound = int(most) if most else MAX_REPETITIONS + 1
    return int(least), bound if bound <= MAX_REPETITIONS else None


def _tokens(text: str) -> Iterator[tuple[str, int, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise GrammarError(f"it cannot be read at {text[at : at + 40]!r}")
        if match.lastgroup != "space":
            yield match.lastgroup or "", at, match[0]
        at = match.end()


def _characters(quoted: str) -> Iterator[tuple[int, bool]]:
    """The code points between the first and the last character, and if each is escaped."""
    at, end = 1, len(quoted) - 1
    while at < end:
        match = _CHARACTER.match(quoted, at, end)
        if match is None:
            raise GrammarError(f"it has an unknown escape at {quoted[at : at + 40]!r}")
        short, long, longest, letter, plain = match.groups()
        character = ord(plain) if plain else _ESCAPES.get(letter, ord(letter or "\0"))
        if code := short or long or longest:
            character = int(code, 16)
        if character > _LAST or character in _SURROGATES:
            raise GrammarError(f"{match[0]} is no character")
        yield character, not plain
        at = match.end()


def _set(quoted: str) -> list[Node]:
    negated = quoted[1] == "^"
    ranges: list[tuple[int, int]] = []
    waiting = False
    found = list(_characters(quoted[negated:]))
    for index, (character, escaped) in enumerate(found):
        if waiting:
            ranges[-1] = (ranges[-1][0], character)
            waiting = False
        elif character == ord("-") and not escaped and 0 < index < len(found) - 1:
            waiting = True
        else:
            ranges.append((character, character))
    wanted = _united(ranges, negated=negated)
    if ranges and not wanted:
        raise GrammarError(f"{quoted:.40} has no character")
    return [_of(wanted)] if ranges else []


def _united(ranges: list[tuple[int, int]], *, negated: bool) -> tuple[tuple[int, int], ...]:
    """The characters of ``ranges``, or all others, surrogates left out."""
    surrogates = _SURROGATES.start, _SURROGATES.stop - 1
    wanted = [each for each in ranges if each[0] <= each[1]]
    others = wanted if negated else list(_gaps(wanted))
    return tuple(_gaps([*others, surrogates]))


def _gaps(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The code points between those of ``ranges``."""
    free = 0
    for first, last in [*sorted(ranges), (_LAST + 1, _LAST + 1)]:
        if free < first:
            yield free, first - 1
        free = max(free, last + 1)
