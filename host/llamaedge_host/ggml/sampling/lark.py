"""Writes a GBNF grammar in Lark's notation, as llguidance reads it."""

from ..llama.vocabulary import Vocabulary
from .gbnf import Characters, Choice, GrammarError, Name, Node, Repeat, Token, read
from .lexemes import Lexemes

MAX_DEPTH = 200
"""Rules and brackets within one another, which llguidance reads by recursion."""
ROOT = "root"
OPTIONS = '%llguidance {"no_forcing": true}'
"""Text that is the only one possible is not worked out ahead: there may be megabytes of it."""


def lark(text: str, vocabulary: Vocabulary) -> str:
    """The grammar that the GBNF ``text`` describes, whose tokens are those of ``vocabulary``.

    A token that ends a text is never meant by one that is negated. Raises GrammarError.
    """
    rules = read(text)
    if ROOT not in rules:
        raise GrammarError(f"it has no rule {ROOT}")
    try:
        return _Writer(Lexemes(rules), vocabulary).text
    except RecursionError:
        raise GrammarError("its rules and brackets nest too deeply") from None


class _Writer:
    def __init__(self, lexemes: Lexemes, vocabulary: Vocabulary) -> None:
        self._lexemes = lexemes
        self._vocabulary = vocabulary
        self._symbols: dict[tuple[Node, bool], str] = {}
        self._lines: list[str] = []
        self._depth = 0
        start = self._atom(lexemes.root, within=False)
        self.text = "\n".join((f"start: {start}", *self._lines, OPTIONS))

    def _atom(self, node: Node, *, within: bool) -> str:
        """What stands for ``node``, ``within`` a lexeme or not."""
        if isinstance(node, Characters):
            return f"/{_set(node)}/"
        if isinstance(node, Token):
            return self._token(node)
        within = within or self._lexemes.is_lexeme(node)
        if isinstance(node, Name):
            (body,) = self._lexemes.made_of(node)
            return self._atom(body, within=within)
        symbol = self._symbols.get((node, within))
        if symbol is None:
            symbol = f"{'T' if within else 'r'}{len(self._symbols)}"
            self._symbols[node, within] = symbol
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise GrammarError(f"it nests more than {MAX_DEPTH} rules and brackets")
            self._lines.append(f"{symbol}: {self._body(node, within=within)}")
            self._depth -= 1
        return symbol

    def _body(self, node: Node, *, within: bool) -> str:
        parts = self._lexemes.made_of(node) if within else self._lexemes.parts(node)
        if isinstance(node, Repeat):
            if node.most == 0:
                return '""'
            return self._atom(parts[0], within=within) + _times(node)
        between = " | " if isinstance(node, Choice) else " "
        text = between.join(self._atom(part, within=within) for part in parts) or '""'
        return text.replace("/ /", "") if within else text

    def _token(self, node: Token) -> str:
        number = self._vocabulary.named(node.text)
        if not 0 <= number < self._vocabulary.size:
            raise GrammarError(f"{node.text:.60} is no token of the model")
        ends = self._vocabulary.ends if node.negated else []
        others = [each for each in ends if each != number]
        return f"<[{'^' * node.negated}{','.join(map(str, (number, *others)))}]>"


def _set(characters: Characters) -> str:
    """A regular expression of one character, which is one of ``characters``."""
    ranges = (
        _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}"
        for first, last in characters.ranges
    )
    return f"[{''.join(ranges)}]"


def _escaped(character: int) -> str:
    text = chr(character)
    return text if text.isascii() and text.isalnum() else f"\\x{{{character:x}}}"


def _times(node: Repeat) -> str:
    return f"{{{node.least},{'' if node.most is None else node.most}}}"
