"""Grammars of whatever comes."""

import random

TIMES = ("", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "{0}", "{ 1 , 3 }")
ITEMS = (
    *('"a"', '"ab"', '"the"', "[a-c]", "[^a]", "[^a-c\\x00]", ".", "[ab-]", "[-a]", '"\\""'),
    *('"\\u00e9"', '"é漢"', "[à-ü]", "[\\]\\[]", "<[97]>", "!<[97]>", "<s>"),
)
NAMES = ("root", "one", "two", "three")


def written(rng: random.Random) -> str:
    """A grammar of a few rules, whose names come behind a character or in a later rule."""

    def alternatives(depth: int, later: tuple[str, ...]) -> str:
        count = rng.choice((1, 1, 2, 3))
        return " | ".join(sequence(depth, later) for _ in range(count))

    def sequence(depth: int, later: tuple[str, ...]) -> str:
        count = rng.choice((1, 1, 2, 2, 3)) if rng.random() < 0.95 else 0
        return " ".join(item(depth, later) + rng.choice(TIMES) for _ in range(count)) or '""'

    def item(depth: int, later: tuple[str, ...]) -> str:
        chance = rng.random()
        if depth and chance < 0.3:
            return f"({alternatives(depth - 1, later)})"
        if later and chance < 0.5:
            return rng.choice(later)
        return f'"b" {rng.choice(NAMES)} "c"' if chance < 0.55 else rng.choice(ITEMS)

    lines = (f"{name} ::= {alternatives(2, NAMES[at + 1 :])}" for at, name in enumerate(NAMES))
    return "\n".join(lines)
