"""Drafts of what a sequence may say next, looked up in what it has said and was told.

A step that computes a draft beside the token before it takes longer than a plain one, but makes as
many tokens as the draft foretold, and one more. Each is sampled as ever, from what the model
computes after all the tokens before it, so the text has the distribution that it has without
drafts. What was drafted wrongly is cut from the KV cache.

How much is drafted depends on the tokens of the sequence alone, never on the clock: a draft is paid
with what earlier ones have saved. So a text that repeats nothing is hardly slower for it.

Source of the idea: Saxena, Prompt Lookup Decoding, 2023.
"""

from array import array
from collections.abc import Iterator
from collections.abc import Sequence as Tokens
from itertools import islice

from .costs import CPU, Costs

NGRAM = 3
"""Tokens that must have followed each other before for those after them to be a draft."""
LIKELY = 8
"""As many must have until drafts have saved ``EARNED`` plain steps."""
EARNED = 1.0
SURE = 16
"""As many must have where a draft begins with ``DEAR`` plain steps or more."""
DEAR = 2.0
LONGER = (SURE, LIKELY, 6)
"""Numbers of tokens that are looked for first: where more are the same, more is likely to be."""
AGREEING = 4
"""Times that the last token came last: where so few are the same, the same must have followed it
each time for what once followed to be a draft."""
ADVANCE = 1.0
"""Plain steps that may be lost before anything is saved; more if no draft costs so little."""
SHARE = 0.01
"""The part of its plain steps that a sequence may lose for ever."""
MOST_SAVED = 16.0
"""Savings that are remembered, in plain steps."""
PICTURE = -1
"""Stands for the placeholders of all pictures, which may be larger than a token."""
_BYTES = array("i").itemsize


class Speculation:
    """The drafts of one sequence, each of ``longest`` tokens at most; 0 for none ever."""

    def __init__(self, longest: int, costs: Costs = CPU) -> None:
        self.longest = longest
        self._costs = costs
        self._savings = max(ADVANCE, costs.spent(costs.least))
        self._earned = 0.0
        """Plain steps that drafts have saved, less what they cost."""
        self._known = bytearray()
        self._trusted = longest
        """Tokens that are looked up at most: about as many as came true in a row lately."""
        self._streak = 0
        self._begun = 0
        self._broken: tuple[int, int] | None = None
        """Where a draft's place first went another way, and where the text was then."""

    @property
    def _most(self) -> int:
        """Tokens that may be looked up."""
        return min(self.longest, self._costs.affordable(self._savings))

    def draft(self, tokens: list[int], most: int) -> Tokens[int]:
        """What may follow ``tokens``, ``most`` tokens at most; empty if nothing tells.

        ``tokens`` are those of the last call and what has come since.
        """
        most = self._costs.whole(min(most, self._most, self._trusted))
        if most < self._costs.least:
            return ()
        self._learn(tokens)
        place = self._place(tokens)
        if place is None:
            return ()
        self._begun = place
        draft = _text(_again(tokens[place : place + most], most))
        count = self._costs.whole(len(draft))
        return draft[:count] if count >= self._costs.least else ()

    def judge(self, drafted: int, right: int, *, value: float = 1.0) -> None:
        """Of a draft of ``drafted`` tokens, the first ``right`` were made; 0, 0 for no draft.

        Each of these is of ``value``, in plain steps.
        """
        if right < drafted:
            self._broken = self._begun + right, len(self._known) // _BYTES + right
        if drafted:
            self._streak = self._streak + right if right == drafted else 0
            self._trusted = max(self._costs.whole(self._streak + 1), self._costs.least)
        saved = right * value - self._costs.spent(drafted)
        self._earned = min(self._earned + saved, MOST_SAVED)
        self._savings = min(self._savings + saved + SHARE, MOST_SAVED)

    def _learn(self, tokens: list[int]) -> None:
        new = tokens[len(self._known) // _BYTES :]
        self._known += array("i", [max(token, PICTURE) for token in new]).tobytes()

    @property
    def _alike(self) -> int:
        """Tokens that must be the same: what drafts have not earned is risked for likely ones."""
        if self._costs.draft >= DEAR:
            return SURE
        return NGRAM if self._earned > EARNED else LIKELY

    def _place(self, tokens: list[int]) -> int | None:
        """Where what the text ends with stood before, behind that."""
        alike = self._alike
        for count in LONGER:
            if count >= alike and (place := self._last_place(count)) is not None:
                return place
        if (place := self._behind_a_change(tokens)) is not None:
            return place
        place = self._last_place(NGRAM) if alike == NGRAM else None
        return place if place is not None and self._always_followed(tokens, place) else None

    def _always_followed(self, tokens: list[int], place: int) -> bool:
        """Whether the token at ``place`` followed the last one each time that this came lately."""
        lately = islice(self._places(1), AGREEING)
        return all(tokens[each] == tokens[place] for each in lately)

    def _behind_a_change(self, tokens: list[int]) -> int | None:
        """Where a draft would have gone on, had only a word or two been others there.

        That is so if behind them a token is the same, as far from where both were the same last.
        """
        if self._broken is None:
            return None
        there, here = self._broken
        since = len(tokens) - 1 - here
        if not 0 < since < NGRAM:
            return None
        place = there + since + 1
        return place if place < len(tokens) and tokens[place - 1] == tokens[-1] else None

    def _last_place(self, count: int) -> int | None:
        """The last place of ``_places``."""
        return next(self._places(count), None)

    def _places(self, count: int) -> Iterator[int]:
        """Where the last ``count`` tokens were followed by others before, the latest first."""
        end = len(self._known) - _BYTES
        wanted = self._known[-count * _BYTES :]
        while count * _BYTES <= end and (at := self._known.rfind(wanted, 0, end)) >= 0:
            if at % _BYTES == 0:
                yield at // _BYTES + count
            end = at + len(wanted) - 1


def _again(tokens: list[int], count: int) -> list[int]:
    """``tokens``, over and over if they are fewer than ``count``."""
    return (tokens * (count // len(tokens) + 1))[:count]


def _text(tokens: list[int]) -> list[int]:
    """``tokens`` up to the first that stands for a picture."""
    return next((tokens[:at] for at, token in enumerate(tokens) if token < 0), tokens)
