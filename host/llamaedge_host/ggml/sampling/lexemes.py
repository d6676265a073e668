"""Cuts a grammar into lexemes, the regular parts that llguidance follows at once.

llguidance reads a text as a parser does that has a lexer: a lexeme goes on as long as one of those
that may begin at its place can, even where another way to read the text needs it to end. GBNF
knows no lexemes. So a part of a grammar may be a lexeme only if nothing that can follow another
one goes on in it; what is no such part is cut further, down to single characters at worst.
"""

from collections import defaultdict, deque
from functools import lru_cache
from typing import NamedTuple

from .gbnf import Characters, Choice, GrammarError, Name, Node, Repeat, Sequence, Token

MAX_WORK = 1 << 18
"""Steps to find out what may be a lexeme, which is less than a second."""
_TOKEN = 1 << 256
"""Stands for a token among the bytes that a text begins with."""
_TOO_LARGE = "it is too large, or its rules name one another too often"


class Cut(NamedTuple):
    """A sequence is cut before its item ``before`` and, if that is smaller, before ``after``."""

    before: int
    after: int


class Lexemes:
    """A grammar of ``rules``: which of its parts are lexemes, and what the others are made of."""

    def __init__(self, rules: dict[str, Node]) -> None:
        self._rules = rules
        self._regular_rules = _regular_rules(rules)
        self._regular: dict[Node, bool] = {}
        self._parts: dict[Node, tuple[Node, ...]] = {}
        self._within: dict[Node, Begin] = {}
        self._work = 0
        self.root = rules["root"]
        while cuts := self._cuts():
            for node, cut in cuts.items():
                self._parts[node] = self._cut(node, cut)

    def is_lexeme(self, node: Node) -> bool:
        """Whether ``node`` is regular and need not be cut."""
        return self._is_regular(node) and node not in self._parts

    def parts(self, node: Node) -> tuple[Node, ...]:
        """What ``node``, which is no lexeme, is made of."""
        parts = self._parts.get(node)
        if parts is None:
            parts = self.made_of(node)
            if not self._is_regular(node):
                parts = self._parts[node] = self._joined(node, parts)
        return parts

    def spend(self, work: int = 1) -> None:
        """Raise GrammarError if this is too much work."""
        self._work += work
        if self._work > MAX_WORK:
            raise GrammarError(_TOO_LARGE)

    def made_of(self, node: Node) -> tuple[Node, ...]:
        """What ``node`` is made of within a lexeme."""
        if isinstance(node, Name):
            return (self._rules[node.name],)
        if isinstance(node, Repeat):
            return (node.item,)
        return node.items if isinstance(node, Sequence | Choice) else ()

    def _is_regular(self, node: Node) -> bool:
        known = self._regular.get(node)
        if known is None:
            if isinstance(node, Name):
                known = node.name in self._regular_rules
            else:
                parts = self.made_of(node)
                known = not isinstance(node, Token) and all(map(self._is_regular, parts))
            self._regular[node] = known
        return known

    def _joined(self, node: Node, parts: tuple[Node, ...]) -> tuple[Node, ...]:
        """``parts``, those that are regular joined if they are neighbours or alternatives."""
        if isinstance(node, Choice):
            regular = tuple(filter(self._is_regular, parts))
            others = tuple(part for part in parts if not self._is_regular(part))
            return (Choice(regular), *others) if len(regular) > 1 else parts
        if not isinstance(node, Sequence):
            return parts
        joined: list[Node] = []
        run: list[Node] = []
        for part in (*parts, None):
            if part is not None and self._is_regular(part):
                run.append(part)
                continue
            if run:
                joined.append(run[0] if len(run) == 1 else Sequence(tuple(run)))
                run = []
            if part is not None:
                joined.append(part)
        return tuple(joined)

    def _cut(self, node: Node, cut: Cut) -> tuple[Node, ...]:
        parts = self.made_of(node)
        if not isinstance(node, Sequence):
            return parts
        pieces = parts[: cut.before], parts[cut.before : cut.after], parts[cut.after :]
        return tuple(each[0] if len(each) == 1 else Sequence(each) for each in pieces if each)

    def _cuts(self) -> dict[Node, Cut]:
        """The lexemes that must be cut, and where."""
        nodes = self._reachable()
        follows = self._follows(nodes)
        if len(nodes) == 1:
            return {}
        machine = _Machine(self)
        lexemes = [node for node in nodes if self.is_lexeme(node)]
        for node in lexemes:
            machine.add(node)
        cuts: dict[Node, Cut] = {}
        for node in lexemes:
            machine.conflicts(node, follows[node], cuts)
        return cuts

    def _reachable(self) -> list[Node]:
        """All nodes down to the lexemes, each behind what it is made of where that is possible."""
        found: list[Node] = []
        seen = {self.root}
        stack = [(self.root, iter(() if self.is_lexeme(self.root) else self.parts(self.root)))]
        while stack:
            node, rest = stack[-1]
            part = next(rest, None)
            if part is None:
                found.append(node)
                stack.pop()
            elif part not in seen:
                self.spend()
                seen.add(part)
                stack.append((part, iter(() if self.is_lexeme(part) else self.parts(part))))
        return found

    def _follows(self, nodes: list[Node]) -> dict[Node, int]:
        """The bytes that can follow each of ``nodes``, a bit for each."""
        begins = self._begins(nodes)
        follows = dict.fromkeys(nodes, 0)
        changed = True
        while changed:
            changed = False
            for node in reversed(nodes):
                if self.is_lexeme(node):
                    continue
                after, parts = follows[node], self.parts(node)
                self.spend(len(parts))
                if isinstance(node, Repeat) and node.most != 1:
                    after |= begins[node].leads
                for part in reversed(parts):
                    if after & ~follows[part]:
                        follows[part] |= after
                        changed = True
                    if isinstance(node, Sequence):
                        begin = begins[part]
                        after = begin.leads | (after if begin.empty else 0)
        return follows

    def _begins(self, nodes: list[Node]) -> "dict[Node, Begin]":
        begins: dict[Node, Begin] = defaultdict(Begin)
        changed = True
        while changed:
            changed = False
            for node in nodes:
                begin = self._begin(node, begins)
                if begin != begins[node]:
                    begins[node] = begin
                    changed = True
        if not all(begins.values()):
            raise GrammarError("it has left recursion: a rule is nothing but itself")
        return begins

    def _begin(self, node: Node, begins: "dict[Node, Begin]") -> "Begin":
        if self.is_lexeme(node):
            return self._begin_within(node)
        self.spend(len(self.parts(node)))
        return _combined(node, [begins[part] for part in self.parts(node)])

    def _begin_within(self, node: Node) -> "Begin":
        known = self._within.get(node)
        if known is None:
            parts = self.made_of(node)
            self.spend(len(parts))
            known = _combined(node, [self._begin_within(part) for part in parts])
            self._within[node] = known
        return known


class Begin(NamedTuple):
    """How a node's texts begin: ``leads`` has a bit for each first byte, ``empty``: not at all."""

    leads: int = 0
    empty: bool = False

    def __bool__(self) -> bool:
        return bool(self.leads) or self.empty


def _combined(node: Node, parts: list[Begin]) -> Begin:
    """How ``node`` begins, whose parts begin as ``parts``."""
    if isinstance(node, Characters):
        return Begin(leads(node))
    if isinstance(node, Token):
        return Begin(_TOKEN)
    bits = 0
    for part in parts:
        bits |= part.leads
        if isinstance(node, Sequence) and not part.empty:
            break
    every = all if isinstance(node, Sequence) else any
    none = isinstance(node, Repeat) and not node.least
    return Begin(bits, none or every(part.empty for part in parts))


def _regular_rules(rules: dict[str, Node]) -> set[str]:
    """The names of the rules that are regular: neither tokens nor themselves are in them."""
    used_by: dict[str, set[str]] = defaultdict(set)
    missing: dict[str, int] = {}
    for name, body in rules.items():
        names, has_tokens = _names(body)
        missing[name] = len(names) + has_tokens
        for each in names:
            used_by[each].add(name)
    ready = deque(name for name, count in missing.items() if not count)
    regular: set[str] = set()
    while ready:
        name = ready.popleft()
        regular.add(name)
        for user in used_by[name]:
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    return regular


def _names(body: Node) -> tuple[set[str], bool]:
    names: set[str] = set()
    has_tokens = False
    stack = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, Name):
            names.add(node.name)
        elif isinstance(node, Repeat):
            stack.append(node.item)
        elif isinstance(node, Sequence | Choice):
            stack += node.items
        else:
            has_tokens = has_tokens or isinstance(node, Token)
    return names, has_tokens


@lru_cache(maxsize=4096)
def leads(node: Characters) -> int:
    """A bit for each byte that a character of ``node`` begins with in UTF-8."""
    bits = 0
    for first, last in node.ranges:
        low, high = (chr(each).encode()[0] for each in (first, last))
        bits |= (2 << high) - (1 << low)
    return bits


def _share(one: Characters, other: Characters) -> bool:
    """Whether a character belongs to both."""
    return bool(leads(one) & leads(other)) and any(
        first <= end and begin <= last for first, last in one.ranges for begin, end in other.ranges
    )


class _State:
    """A place in a lexeme: before one of ``characters``, or only before what ``reaches`` are.

    It belongs to the item number ``item`` of the lexeme ``owner``. A lexeme ends at a state that
    reaches none and has no characters.
    """

    __slots__ = ("characters", "item", "owner", "reached", "reaches", "then")

    def __init__(self, owner: Node, item: int) -> None:
        self.owner = owner
        self.item = item
        self.characters: Characters | None = None
        self.then: _State = self
        self.reaches: list[_State] = []
        self.reached: tuple[list[_State], bool] | None = None


class _Machine:
    """The lexemes as automata, in which a repetition that is bounded may go on for ever."""

    def __init__(self, lexemes: Lexemes) -> None:
        self._lexemes = lexemes
        self._begins: dict[Node, _State] = {}
        self._first: _Places | None = None
        self._steps: dict[tuple[_Places, Characters], _Places] = {}

    def add(self, lexeme: Node) -> None:
        """Add the automaton of ``lexeme``."""
        state = _State(lexeme, -1)
        if isinstance(lexeme, Sequence):
            for item in range(len(lexeme.items) - 1, -1, -1):
                state = self._build(lexeme.items[item], state, lexeme, item)
        else:
            state = self._build(lexeme, state, lexeme, 0)
        self._begins[lexeme] = state

    def _build(self, node: Node, then: _State, owner: Node, item: int) -> _State:
        """The state before ``node``, behind which ``then`` is."""
        self._lexemes.spend()
        if isinstance(node, Sequence):
            for part in reversed(node.items):
                then = self._build(part, then, owner, item)
            return then
        state = _State(owner, item)
        if isinstance(node, Characters):
            state.characters, state.then = node, then
        elif isinstance(node, Repeat) and node.most != 0:
            body = self._build(node.item, then if node.most == 1 else state, owner, item)
            state.reaches = [body, then]
            return state if not node.least else body
        elif isinstance(node, Repeat):
            return then
        else:
            parts = self._lexemes.made_of(node)
            state.reaches = [self._build(part, then, owner, item) for part in parts]
        return state

    def _reached(self, state: _State) -> tuple[list[_State], bool]:
        """The states with characters that can be reached from ``state``, and if the end can."""
        if state.reached is None:
            seen, found, ends, stack = {state}, [], False, [state]
            while stack:
                each = stack.pop()
                self._lexemes.spend()
                if each.characters is not None:
                    found.append(each)
                ends = ends or each.item < 0
                more = [other for other in each.reaches if other not in seen]
                seen.update(more)
                stack += more
            state.reached = found, ends
        return state.reached

    def conflicts(self, lexeme: Node, follow: int, cuts: dict[Node, Cut]) -> None:
        """Add to ``cuts`` what must be cut so that ``lexeme`` can end before one of ``follow``."""
        if not follow:
            return
        begins, _ = self._reached(self._begins[lexeme])
        stack = [(state, self._all()) for state in begins]
        seen = set(stack)
        while stack:
            state, others = stack.pop()
            assert state.characters is not None
            others = self._after(others, state.characters)
            further, ends = self._reached(state.then)
            if ends:
                self._cut(others, follow, cuts)
            more = [pair for each in further if (pair := (each, others)) not in seen]
            self._lexemes.spend(1 + len(more))
            seen.update(more)
            stack += more

    def _all(self) -> "_Places":
        """How each lexeme begins."""
        if self._first is None:
            begins = (self._reached(begin)[0] for begin in self._begins.values())
            self._first = frozenset((state, False) for states in begins for state in states)
        return self._first

    def _after(self, places: "_Places", characters: Characters) -> "_Places":
        """Where one of ``characters`` leads to from ``places``."""
        known = self._steps.get((places, characters))
        if known is None:
            self._lexemes.spend(len(places))
            after: set[tuple[_State, bool]] = set()
            for state, _ in places:
                assert state.characters is not None
                if _share(state.characters, characters):
                    further, _ = self._reached(state.then)
                    after.update((each, each.item == state.item) for each in further)
            known = self._steps[places, characters] = frozenset(after)
        return known

    def _cut(self, places: "_Places", follow: int, cuts: dict[Node, Cut]) -> None:
        """Cut the lexemes that go on from ``places`` as ``follow`` begins."""
        self._lexemes.spend(len(places))
        for state, inside in places:
            assert state.characters is not None
            if state.owner not in cuts and leads(state.characters) & follow:
                cuts[state.owner] = Cut(state.item, state.item + inside)


_Places = frozenset[tuple[_State, bool]]
"""Places before a character, and for each if the one before it belongs to the same item."""
