"""Follows a text through a GBNF grammar, and finds the tokens that may come next.

As in llama.cpp there is a stack of what is to come for each way to read the text. Some grammars
have more of them than any memory holds, and for some llama.cpp looks at one token for hours. So
stacks share what lies below their tops, each step is taken once for all tokens that begin alike,
and there are bounds, of steps and not of time, so that a seed repeats.

Source: llama.cpp's src/llama-grammar.cpp.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from ..llama.vocabulary import Tokens, Vocabulary
from .gbnf import Characters, Element, GrammarError, Reader, Token

MAX_VISITS = 1 << 20
"""Places in the grammar that its rules begin with, one after the other."""
MAX_STACKS = 4096
MAX_LOOKS = 1 << 16
"""Looks at a stack for one token of a text; so many take some tens of milliseconds."""
STEP = 8
"""A step takes as long as so many looks, beside those that it needs."""
ROOT = "root"

_LEAST = (0, 0x80, 0x800, 0x10000)
"""The first code point with so many bytes behind its first."""


class Stacks:
    """A set of stacks: ``ends`` if one is empty, the others by what lies on top of them.

    ``leads`` has a bit for each byte that the next character can begin with.
    """

    __slots__ = ("__weakref__", "count", "ends", "leads", "tops")

    def __init__(self, ends: bool, tops: "dict[int, Stacks]", leads: int) -> None:
        self.ends = ends
        self.tops = tops
        self.leads = leads
        self.count: int = ends + sum(rest.count for rest in tops.values())


Unions = dict[frozenset[Stacks], Stacks]


class Place(NamedTuple):
    """How far a text has come; ``missing`` bytes of a character, so far ``value``, are to come."""

    stacks: Stacks
    value: int = 0
    missing: int = 0


class Grammar:
    """The grammar that a GBNF text describes. Raises GrammarError for one that cannot be used.

    A position is a place in ``_elements``, where None ends an alternative. ``names`` are
    those of the tokens in it.
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
        self._leads = [each.leads if isinstance(each, Characters) else 0 for each in self._elements]
        self.names = {each.text for each in self._elements if isinstance(each, Token)}
        self._known: WeakValueDictionary[object, Stacks] = WeakValueDictionary()
        self._steps: dict[tuple[Place, int], tuple[Place | None, int]] = {}
        self._pasts: dict[tuple[Stacks, tuple[int, ...]], tuple[Stacks, int]] = {}
        self._looks = 0
        self._none = self._stacks(False, {})
        self._empty = self._stacks(True, {})
        visits = 0
        for number in reader.names.values():
            stacks, looks = self._begin(number)
            visits += looks
            if not stacks.count:
                raise GrammarError("it has left recursion: a rule is nothing but itself")
            if visits > MAX_VISITS:
                raise GrammarError("too many of its rules begin with one another")
        self.start = Place(self._begin(reader.names[ROOT])[0])

    def _begin(self, rule: int) -> tuple[Stacks, int]:
        starts = [at for at in self._rules[rule] if self._elements[at] is not None]
        ends = len(starts) < len(self._rules[rule])
        return self._reach(ends, [(at, self._empty) for at in starts])

    def _stacks(self, ends: bool, tops: dict[int, Stacks]) -> Stacks:
        key = ends, frozenset((at, id(rest)) for at, rest in tops.items())
        known = self._known.get(key)
        if known is None:
            leads = 0
            for at in tops:
                leads |= self._leads[at]
            known = self._known[key] = Stacks(ends, tops, leads)
        return known

    def _union(self, parts: Iterable[Stacks], known: Unions) -> Stacks:
        distinct = frozenset(parts) - {self._none}
        if len(distinct) < 2:
            return next(iter(distinct), self._none)
        if distinct not in known:
            tops: dict[int, list[Stacks]] = {}
            for part in distinct:
                for at, rest in part.tops.items():
                    tops.setdefault(at, []).append(rest)
            ends = any(part.ends for part in distinct)
            below = {at: self._union(rests, known) for at, rests in tops.items()}
            known[distinct] = self._stacks(ends, below)
        return known[distinct]

    def _reach(self, ends: bool, tops: list[tuple[int, Stacks]]) -> tuple[Stacks, int]:
        """The stacks ``tops``, every rule on top replaced by what it begins with; looks taken."""
        reached: dict[int, list[Stacks]] = {}
        seen = set(tops)
        for at, rest in tops:  # which grows meanwhile
            element = self._elements[at]
            if not isinstance(element, int):
                reached.setdefault(at, []).append(rest)
                continue
            after = self._elements[at + 1]
            left = rest if after is None else self._stacks(False, {at + 1: rest})
            for start in self._rules[element]:
                if self._elements[start] is None:
                    ends = ends or left.ends
                    more = list(left.tops.items())
                else:
                    more = [(start, left)]
                tops += (each for each in more if each not in seen)
                seen.update(more)
            if len(tops) > MAX_STACKS:
                raise GrammarError("it has left recursion or can be read in too many ways")
        unions: Unions = {}
        below = {at: self._union(rests, unions) for at, rests in reached.items()}
        result = self._stacks(ends, below)
        if result.count > MAX_STACKS:
            raise GrammarError("it can be read in too many ways")
        return result, len(tops) + STEP * len(unions)

    def _past(self, stacks: Stacks, matched: tuple[int, ...]) -> tuple[Stacks, int]:
        """What is left of those ``stacks`` that have ``matched`` on top, and the looks it takes."""
        known = self._pasts.get((stacks, matched))
        if known is None:
            ends, tops = False, list[tuple[int, Stacks]]()
            for at in matched:
                rest = stacks.tops[at]
                if self._elements[at + 1] is None:
                    ends = ends or rest.ends
                    tops += rest.tops.items()
                else:
                    tops.append((at + 1, rest))
            try:
                known = self._reach(ends, tops)
            except (GrammarError, RecursionError):
                known = self._none, MAX_STACKS
            self._make_room(known[1])
            self._pasts[stacks, matched] = known
        return known

    def _make_room(self, looks: int) -> None:
        """Forget all steps before one more, that takes ``looks``, if they are many."""
        self._looks += STEP + looks
        if self._looks > 4 * MAX_LOOKS:
            self._looks = 0
            self._pasts.clear()
            self._steps.clear()

    def step(self, place: Place, byte: int) -> tuple[Place | None, int]:
        """The place behind ``byte``, None if it may not come, and the looks that it takes."""
        if not place.missing and not place.stacks.leads >> byte & 1:
            return None, 0
        known = self._steps.get((place, byte))
        if known is None:
            known = self._step(place, byte)
            self._make_room(0)
            self._steps[place, byte] = known
        return known

    def _step(self, place: Place, byte: int) -> tuple[Place | None, int]:
        stacks, value, missing = place
        if missing:
            if byte >> 6 != 2:
                return None, STEP
            value, missing = value << 6 | byte & 0x3F, missing - 1
        else:
            missing = (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
            value = byte & (0x3F >> missing) if missing else byte
        bits = 6 * missing
        first, last = max(value << bits, _LEAST[missing]), (value + 1 << bits) - 1
        if byte < 0x80:
            matched = tuple(at for at in stacks.tops if self._leads[at] >> byte & 1)
        else:
            matched = self._matched(stacks, first, last)
        looks = STEP + len(stacks.tops) // 8
        if missing:
            return (Place(stacks, value, missing) if matched else None), looks
        left, more = self._past(stacks, matched)
        return (Place(left) if left.count else None), looks + more

    def _matched(self, stacks: Stacks, first: int, last: int) -> tuple[int, ...]:
        """The tops of ``stacks`` that a code point from ``first`` to ``last`` matches."""
        elements = self._elements
        return tuple(
            at
            for at in stacks.tops
            if isinstance(top := elements[at], Characters) and top.matches(first, last)
        )

    def tokens(self, stacks: Stacks) -> dict[int, Token]:
        """The tokens on top of ``stacks``."""
        tops = ((at, self._elements[at]) for at in stacks.tops)
        return {at: top for at, top in tops if isinstance(top, Token)}

    def after(self, place: Place, matched: tuple[int, ...], further: Place | None) -> Place | None:
        """The place behind a token that is ``matched``, or leads to ``further`` by its text."""
        whole, _ = self._past(place.stacks, matched)
        if not whole.count or (further and further.missing):
            return further
        return Place(self._union((whole, further.stacks), {}) if further else whole)


class Reading:
    """How far a text of tokens has come in ``grammar``.

    ``named`` gives the number of the token that a text names.
    """

    def __init__(self, grammar: Grammar, named: Callable[[str], int]) -> None:
        self._grammar = grammar
        self._named = named
        self._place = grammar.start

    @property
    def may_end(self) -> bool:
        """Whether the text can end here."""
        return self._place.stacks.ends and not self._place.missing

    def accept(self, token: int, piece: bytes) -> bool:
        """Go on by ``token``; whether that was possible. If not, nothing has changed."""
        characters = piece.partition(b"\0")[0]
        place = self._place if characters else None
        total = 0
        for byte in characters:
            if place is None or total > MAX_LOOKS:
                place = None
                break
            place, looks = self._grammar.step(place, byte)
            total += looks
        matched = tuple(
            at
            for at, top in self._tokens().items()
            if (self._named(top.text) == token) != top.negated
        )
        if matched:
            place = self._grammar.after(self._place, matched, place)
        self._place = place or self._place
        return place is not None

    def _tokens(self) -> dict[int, Token]:
        return {} if self._place.missing else self._grammar.tokens(self._place.stacks)

    def allowed(self, vocabulary: Vocabulary) -> Tokens:
        """The tokens that may come next, in order; longer ones are left out after ``MAX_LOOKS``."""
        allowed = np.zeros(vocabulary.size, dtype=bool)
        for top in self._tokens().values():
            allowed |= (np.arange(vocabulary.size) == self._named(top.text)) != top.negated
        texts, begins, sizes = vocabulary.texts
        tokens = np.flatnonzero(sizes)
        places, at = {self._place: 0}, np.zeros(tokens.size, dtype=np.int64)
        depth = total = 0
        while tokens.size:
            keys = at << 8 | texts[begins[tokens] + depth]
            steps = np.full(len(places) << 8, -1)
            froms, places = list(places), {}
            for key in np.flatnonzero(np.bincount(keys)).tolist():
                if total > MAX_LOOKS:
                    break
                place, looks = self._grammar.step(froms[key >> 8], key & 0xFF)
                total += looks
                if place is not None:
                    steps[key] = places.setdefault(place, len(places))
            depth += 1
            at = steps[keys]
            allowed[tokens[(at >= 0) & (sizes[tokens] == depth)]] = True
            goes_on = (at >= 0) & (sizes[tokens] > depth)
            tokens, at = tokens[goes_on], at[goes_on]
        allowed[vocabulary.ends] = self.may_end
        return np.flatnonzero(allowed).astype(np.int32)


@lru_cache(maxsize=16)
def parse(text: str) -> Grammar:
    """The grammar of ``text``, kept for a while. Raises GrammarError."""
    return Grammar(text)
