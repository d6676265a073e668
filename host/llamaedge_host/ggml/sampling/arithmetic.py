"""The numbers of a JSON schema that llguidance reckons with: which it gets right, and soon."""

import math
from decimal import Decimal

from .gbnf import GrammarError

MAX_FACTORS = 10_000
"""All that a number must be a multiple of, together: llguidance has a state for each remainder."""


class Arithmetic:
    """The bounds and factors of a schema."""

    def __init__(self) -> None:
        self.bounds: list[tuple[str, float]] = []
        """minimum, maximum, exclusiveMinimum and exclusiveMaximum, with their values."""
        self.factors: set[Decimal] = set()
        """The values of multipleOf."""

    def check(self, *, merged: bool) -> None:
        """Refuse what would be wrong or late; ``merged`` if a number may be a multiple of several.

        Raises GrammarError.
        """
        self._check_bounds()
        places = max((_places(each) for each in self.factors), default=0)
        whole = [int(each.scaleb(_places(each))) for each in self.factors]
        together = math.lcm(*(int(each.scaleb(places)) for each in self.factors))
        if sum(whole) > MAX_FACTORS or (merged and together > MAX_FACTORS):
            raise GrammarError(f"multipleOf is supported up to {MAX_FACTORS}, all of them together")

    def _check_bounds(self) -> None:
        """Refuse what llguidance gets wrong: from 1 to 1.5 without the 1, it lets 1 by."""
        for name, value in self.bounds:
            away = {"exclusiveMinimum": 1, "exclusiveMaximum": -1}.get(name, 0)
            if away and value == int(value) and value * away >= 0:
                near = [other for _, other in self.bounds if 0 < (other - value) * away < 1]
                if near:
                    raise GrammarError(f"{name} {value} is not supported with a bound of {near[0]}")


def _places(value: Decimal) -> int:
    """The digits of ``value`` behind its point."""
    exponent = value.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
