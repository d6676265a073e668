"""Follows a text through a grammar, as llama.cpp does, but within bounds.

llama.cpp keeps a stack of what is to come for each way to read the text, and looks at every
token for every stack. Some grammars make more stacks than any memory holds, and some texts end
llama.cpp's process. So a grammar is checked and followed here before llama.cpp gets it.

Source: llama.cpp's src/llama-grammar.cpp.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from weakref import WeakValueDictionary

from .gbnf import Characters, Element, GrammarError, Reader, Token

MAX_DEPTH = 10_000
"""Rules that begin with one another; llama.cpp follows them by recursion."""
MAX_VISITS = 1 << 24
"""Rules that llama.cpp visits when it looks for left recursion, each as often as it comes by."""
MAX_STACKS = 4096
ANY_LEAD = (1 << 256) - 1
ROOT = "root"


class Stacks:
    """A set of stacks: ``ends`` if one is empty, the others by what lies on top of them."""

    __slots__ = ("__weakref__", "count", "ends", "tops")

    def __init__(self, ends: bool, tops: "dict[int, Stacks]") -> None:
        self.ends = ends
        self.tops = tops
        self.count: int = ends + sum(rest.count for rest in tops.values())


class Grammar:
    """The grammar that a GBNF text describes. Raises GrammarError for one that cannot be used.

    A position is a place in ``_elements``, where None ends an alternative.
    """

    def __init__(self, text: str) -> None:
        reader = Reader(text)
        if ROOT not in reader.names:
            raise GrammarError(f"it has no rule {ROOT}")
        self._elements: list[Element | None] = []
        self._rules: list[list[int]] = []
        for rule in reader.rules:
            self._rules.append([])
            for alternative in rule:
                self._rules[-1].append(len(self._elements))
                self._elements += [*alternative, None]
        self._known: WeakValueDictionary[object, Stacks] = WeakValueDictionary()
        self._none = self._stacks(False, {})
        self._empty = self._stacks(True, {})
        self._check_recursion()
        for number in reader.names.values():
            self._begin(number)
        self.start = self._begin(reader.names[ROOT])

    def _check_recursion(self) -> None:
        """Refuse rules that begin with themselves, and those too many to look for that."""
        costs: dict[int, tuple[int, int]] = {}
        total = 0
        for first in range(len(self._rules)):
            if first in costs:
                continue
            path, ahead = [first], {first: self._leftmost(first)}
            while path:
                rule = path[-1]
                unknown = next((each for each in ahead[rule] if each not in costs), None)
                if unknown is None:
                    below = [costs[each] for each in ahead.pop(rule)]
                    costs[path.pop()] = (
                        1 + sum(visits for visits, _ in below),
                        1 + max((depth for _, depth in below), default=0),
                    )
                elif unknown in ahead:
                    raise GrammarError("it has left recursion: a rule begins with itself")
                else:
                    path.append(unknown)
                    ahead[unknown] = self._leftmost(unknown)
            visits, depth = costs[first]
            total += visits
            if total > MAX_VISITS or depth > MAX_DEPTH:
                raise GrammarError("too many of its rules begin with one another")

    def _leftmost(self, rule: int) -> list[int]:
        """The rules that ``rule`` begins with, those behind rules with an empty alternative too."""
        found: list[int] = []
        for at in self._rules[rule]:
            while isinstance(number := self._elements[at], int):
                found.append(number)
                if all(self._elements[start] is not None for start in self._rules[number]):
                    break
                at += 1
        return found

    def _begin(self, rule: int) -> Stacks:
        starts = [at for at in self._rules[rule] if self._elements[at] is not None]
        ends = len(starts) < len(self._rules[rule])
        return self._reach(ends, [(at, self._empty) for at in starts])

    def _stacks(self, ends: bool, tops: dict[int, Stacks]) -> Stacks:
        key = ends, frozenset((at, id(rest)) for at, rest in tops.items())
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Stacks(ends, tops)
        return known

    def _union(self, parts: Iterable[Stacks]) -> Stacks:
        distinct = set(parts) - {self._none}
        if len(distinct) < 2:
            return distinct.pop() if distinct else self._none
        tops: dict[int, list[Stacks]] = {}
        for part in distinct:
            for at, rest in part.tops.items():
                tops.setdefault(at, []).append(rest)
        ends = any(part.ends for part in distinct)
        return self._stacks(ends, {at: self._union(rests) for at, rests in tops.items()})

    def _reach(self, ends: bool, tops: list[tuple[int, Stacks]]) -> Stacks:
        """The stacks ``tops``, every rule on top replaced by what it begins with."""
        reached: dict[int, list[Stacks]] = {}
        seen = set(tops)
        for at, rest in tops:  # which grows meanwhile
            element = self._elements[at]
            if not isinstance(element, int):
                reached.setdefault(at, []).append(rest)
                continue
            after = self._elements[at + 1]
            below = rest if after is None else self._stacks(False, {at + 1: rest})
            for start in self._rules[element]:
                if self._elements[start] is None:
                    ends = ends or below.ends
                    more = list(below.tops.items())
                else:
                    more = [(start, below)]
                tops += (each for each in more if each not in seen)
                seen.update(more)
            if len(tops) > MAX_STACKS:
                raise GrammarError("it can be read in too many ways")
        result = self._stacks(ends, {at: self._union(rests) for at, rests in reached.items()})
        if result.count > MAX_STACKS:
            raise GrammarError("it can be read in too many ways")
        return result

    def _past(self, stacks: Stacks, matches: Callable[[Element | None], bool]) -> Stacks:
        """What is left of those ``stacks`` whose top ``matches``."""
        ends, tops = False, list[tuple[int, Stacks]]()
        for at, rest in stacks.tops.items():
            if matches(self._elements[at]):
                if self._elements[at + 1] is None:
                    ends = ends or rest.ends
                    tops += rest.tops.items()
                else:
                    tops.append((at + 1, rest))
        return self._reach(ends, tops)

    def after(
        self, stacks: Stacks, characters: Iterable[int], is_token: Callable[[str], bool]
    ) -> Stacks:
        """What is left of ``stacks`` after a token that stands for ``characters``, code points.

        ``is_token`` tells whether it is the one that a text names. Raises GrammarError for a
        token after which there are too many.
        """
        whole = self._past(
            stacks, lambda top: isinstance(top, Token) and is_token(top.text) != top.negated
        )
        left = self._stacks(
            False,
            {
                at: rest
                for at, rest in stacks.tops.items()
                if isinstance(self._elements[at], Characters)
            },
        )
        for each in characters:
            left = self._past(left, partial(_begins, each))
        return self._union((left, whole))

    def leads(self, stacks: Stacks) -> int:
        """A bit for each byte that can come next; all if a token may."""
        leads = 0
        for at in stacks.tops:
            top = self._elements[at]
            leads |= top.leads if isinstance(top, Characters) else ANY_LEAD
        return leads


def _begins(character: int, top: Element | None) -> bool:
    return isinstance(top, Characters) and top.matches(character)


class Reading:
    """How far a text of tokens has come in ``grammar``.

    ``is_token`` tells whether a token, by its number, is the one that a text names.
    """

    def __init__(self, grammar: Grammar, is_token: Callable[[int, str], bool]) -> None:
        self._grammar = grammar
        self._is_token = is_token
        self._stacks = grammar.start
        self._value = self._missing = 0

    @property
    def may_end(self) -> bool:
        """Whether the text can end here."""
        return self._stacks.ends

    @property
    def ways(self) -> int:
        """llama.cpp's stacks."""
        return self._stacks.count

    @property
    def leads(self) -> int:
        """A bit for each byte that the next token can begin with."""
        return ANY_LEAD if self._missing else self._grammar.leads(self._stacks)

    def accept(self, token: int, piece: bytes) -> bool:
        """Go on by ``token``; whether that was possible. If not, nothing has changed."""
        characters: list[int] = []
        value, missing = self._value, self._missing
        begun = missing > 0
        for byte in piece.partition(b"\0")[0]:
            if (byte >> 6 != 2) if begun else (byte >> 6 == 2 and not missing):
                return False
            if missing:
                value, missing = value << 6 | byte & 0x3F, missing - 1
                begun = begun and missing > 0
            else:
                missing = (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
                value = byte & (0x7F >> missing) if missing else byte
            if not missing:
                characters.append(value)
        try:
            stacks = self._grammar.after(
                self._stacks, characters, lambda text: self._is_token(token, text)
            )
        except (GrammarError, RecursionError):
            return False
        if not stacks.count:
            return False
        self._stacks, self._value, self._missing = stacks, value, missing
        return True


@lru_cache(maxsize=16)
def parse(text: str) -> Grammar:
    """The grammar of ``text``, kept for a while. Raises GrammarError."""
    return Grammar(text)
