"""Reads GBNF, llama.cpp's notation of grammars, as llama.cpp reads it.

Source: llama.cpp's grammars/README.md and src/llama-grammar.cpp.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARACTERS = 1 << 18
MAX_NESTING = 200
"""Brackets within brackets; llama.cpp reads them by recursion."""
MAX_ELEMENTS = 1 << 19
"""Characters and names in the rules, with every repetition written out, as llama.cpp does."""
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
_BEYOND_ASCII = (1 << 0xF5) - (1 << 0xC2)
_LAST = 0x1FFFFF
"""The last number that four bytes can stand for."""


class GrammarError(Exception):
    """A grammar cannot be used; the message says why."""


@dataclass(frozen=True, eq=False)
class Characters:
    """One character of ``ranges``, whose ends belong to them.

    ``leads`` has a bit for each byte that such a character can begin with in UTF-8.
    """

    ranges: tuple[tuple[int, int], ...]
    leads: int

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]], *, negated: bool = False) -> "Characters":
        """Those of ``ranges``, or all others."""
        wanted = [(first, last) for first, last in ranges if first <= last]
        if negated:
            wanted, excluded, free = [], sorted(wanted), 0
            for first, last in [*excluded, (_LAST + 1, _LAST + 1)]:
                if free < first:
                    wanted.append((free, first - 1))
                free = max(free, last + 1)
        leads = 0
        for first, last in wanted:
            leads |= max((2 << min(last, 127)) - (1 << first), 0) if first < 128 else 0
            leads |= _BEYOND_ASCII if last > 127 else 0
        return cls(tuple(wanted), leads)

    def matches(self, first: int, last: int) -> bool:
        """Whether a code point from ``first`` to ``last`` is one of them."""
        return any(begin <= last and first <= end for begin, end in self.ranges)


@dataclass(frozen=True)
class Token:
    """One token, as <[123]> or <name>, or with ``negated`` any other."""

    text: str
    negated: bool


Element = Characters | Token | int
"""What a rule is made of; a number is another rule's."""
Rule = list[list[Element]]
"""The alternatives of a rule."""

ANY = Characters.of([], negated=True)


@lru_cache(maxsize=512)
def _only(character: int) -> Characters:
    return Characters.of([(character, character)])


class Reader:
    """Reads a GBNF text. Raises GrammarError.

    ``rules`` has each rule by its number, ``names`` the numbers of those that have a name.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise GrammarError(f"it has {len(text)} characters, over {MAX_CHARACTERS}")
        self.names: dict[str, int] = {}
        self._rules: dict[int, Rule] = {}
        self._count = 0
        self._size = 0
        self._depth = 0
        self._text = text
        self._tokens = _tokens(text)
        self._next()
        self._skip_lines()
        while self._kind:
            self._rule()
        for name, number in self.names.items():
            if number not in self._rules:
                raise GrammarError(f"it has no rule {name:.60}")
        self.rules = [self._rules[number] for number in range(self._count)]

    def _next(self) -> None:
        self._kind, self._at, self._word = next(self._tokens, ("", len(self._text), ""))

    def _skip_lines(self) -> None:
        while self._kind == "line":
            self._next()

    def _expected(self, what: str) -> GrammarError:
        return GrammarError(f"it needs {what} at {self._text[self._at : self._at + 40]!r}")

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def _named(self, name: str) -> int:
        if name not in self.names:
            self.names[name] = self._new()
        return self.names[name]

    def _rule(self) -> None:
        if self._kind != "name":
            raise self._expected("a rule's name")
        number = self._named(self._word)
        self._next()
        if self._kind != "is":
            raise self._expected("::=")
        self._next()
        self._skip_lines()
        self._rules[number] = self._alternatives()
        if self._kind not in ("line", ""):
            raise self._expected("the rule's end")
        self._skip_lines()

    def _alternatives(self) -> Rule:
        alternatives = [self._sequence()]
        while self._word == "|":
            self._next()
            self._skip_lines()
            alternatives.append(self._sequence())
        return alternatives

    def _sequence(self) -> list[Element]:
        made: list[Element] = []
        last = 0
        while True:
            if self._kind == "times":
                self._repeat(made, last, self._word)
            else:
                item = self._item()
                if item is None:
                    return made
                last = len(made)
                made += item
                self._grow(len(item))
            self._next()
            if self._depth:
                self._skip_lines()

    def _item(self) -> list[Element] | None:
        if self._kind == "text":
            return [_only(character) for character, _ in _characters(self._word)]
        if self._kind == "set":
            return _set(self._word)
        if self._kind == "token":
            return [Token(self._word.removeprefix("!"), self._word[0] == "!")]
        if self._kind == "name":
            return [self._named(self._word)]
        if self._word == ".":
            return [ANY]
        return [self._group()] if self._word == "(" else None

    def _group(self) -> int:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise GrammarError(f"it nests more than {MAX_NESTING} brackets")
        self._next()
        self._skip_lines()
        number = self._new()
        self._rules[number] = self._alternatives()
        if self._word != ")":
            raise self._expected(")")
        self._depth -= 1
        return number

    def _repeat(self, made: list[Element], last: int, times: str) -> None:
        """Write out ``made[last:]`` as often as ``times`` says."""
        item = made[last:]
        least, most = _TIMES[times] if times in _TIMES else _bounds(times)
        if not item:
            raise self._expected(f"something before {times}")
        if least > MAX_REPETITIONS or (most is not None and most < least):
            raise GrammarError(f"it cannot repeat {times}")
        optional = 1 if most is None or most > MAX_REPETITIONS else most - least
        self._grow(len(item) * least + (len(item) + 2) * optional)
        del made[last:]
        made += item * least
        rest: list[Element] = []
        for _ in range(optional):
            number = self._new()
            follows: list[Element] = [number] if most is None else rest
            self._rules[number] = [[*item, *follows], []]
            rest = [number]
        made += rest

    def _grow(self, elements: int) -> None:
        self._size += elements
        if self._size > MAX_ELEMENTS:
            raise GrammarError(f"it has more than {MAX_ELEMENTS} elements with its repetitions")


def _tokens(text: str) -> Iterator[tuple[str, int, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise GrammarError(f"it cannot be read at {text[at : at + 40]!r}")
        if match.lastgroup != "space":
            yield match.lastgroup or "", at, match[0]
        at = match.end()


def _bounds(times: str) -> tuple[int, int | None]:
    least, comma, most = times.strip("{}").partition(",")
    if not comma:
        return int(least), int(least)
    most = most.strip()
    bound = int(most) if most else MAX_REPETITIONS + 1
    return int(least), bound if bound <= MAX_REPETITIONS else None


def _characters(quoted: str) -> Iterator[tuple[int, bool]]:
    """The code points between the first and the last character, and if each is escaped."""
    at, end = 1, len(quoted) - 1
    while at < end:
        match = _CHARACTER.match(quoted, at, end)
        if match is None:
            raise GrammarError(f"it has an unknown escape at {quoted[at : at + 40]!r}")
        short, long, longest, letter, plain = match.groups()
        if plain:
            yield ord(plain), False
        elif letter:
            yield _ESCAPES.get(letter, ord(letter)), True
        else:
            yield int(short or long or longest, 16), True
        at = match.end()


def _set(quoted: str) -> list[Element]:
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
    return [Characters.of(ranges, negated=negated)] if ranges else []
