"""Where requests go."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.affinity import Placement, Prefix, prefix_of

PLACES = ("a", "b", "c", "d")
IDLE = dict.fromkeys(PLACES, 0)


def conversation(name: str, turns: int = 1, system: str = "") -> Prefix:
    messages = [{"role": "system", "content": system}] if system else []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"{name} {turn} " * 100})
        messages.append({"role": "assistant", "content": f"{name} answers {turn} " * 100})
    found = prefix_of({"messages": messages[:-1]})
    assert found is not None
    return found


def first(placement: Placement, prefix: Prefix | None, loads: dict[str, int]) -> str:
    return next(placement.order(prefix, loads))


def test_a_conversation_returns_to_where_it_was() -> None:
    placement = Placement()
    for number in range(40):
        name = f"user {number}"
        at = PLACES[number % 4]
        placement.sent(conversation(name), at)
        assert first(placement, conversation(name, turns=3), IDLE) == at


def test_the_longest_prefix_wins() -> None:
    placement = Placement()
    placement.sent(conversation("u", turns=1), "a")
    placement.sent(conversation("u", turns=2), "b")
    placement.sent(conversation("other"), "c")
    order = list(placement.order(conversation("u", turns=3), IDLE))
    assert order[:2] == ["b", "a"]
    assert placement.matched(conversation("u", turns=2), "a") == len(conversation("u").blocks)
    assert placement.matched(conversation("u", turns=2), "c") == 0


def test_routers_that_know_nothing_of_each_other_agree_on_new_conversations() -> None:
    chosen = Counter[str]()
    for number in range(400):
        prefix = conversation(f"user {number}")
        at = first(Placement(), prefix, IDLE)
        assert first(Placement(), conversation(f"user {number}", turns=2), IDLE) == at
        chosen[at] += 1
    assert set(chosen) == set(PLACES)
    assert max(chosen.values()) < 2 * min(chosen.values())


def test_few_keys_move_when_a_place_comes() -> None:
    keys = [conversation(f"user {number}") for number in range(200)]
    before = [first(Placement(), each, IDLE) for each in keys]
    after = [first(Placement(), each, {**IDLE, "e": 0}) for each in keys]
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"e"}
    assert len(moved) < 80


def test_load_bounds_affinity() -> None:
    placement = Placement(slack=1.25)
    prefix = conversation("u")
    placement.sent(prefix, "a")
    assert first(placement, prefix, {"a": 1, "b": 1, "c": 1, "d": 1}) == "a"
    loaded = {"a": 5, "b": 1, "c": 1, "d": 1}
    assert first(placement, prefix, loaded) != "a"
    assert list(placement.order(prefix, loaded))[-1] == "a"


def test_one_that_everyone_asks_spreads_within_the_bound() -> None:
    placement, loads = Placement(), dict(IDLE)
    for _ in range(40):
        at = first(placement, conversation("all"), loads)
        placement.sent(conversation("all"), at)
        loads[at] += 1
    assert max(loads.values()) <= 13  # 1.25 times the mean of ten


def test_without_a_prefix_the_least_loaded_comes_first() -> None:
    assert list(Placement().order(None, {"a": 2, "b": 0, "c": 1})) == ["b", "c", "a"]


def test_what_a_place_no_longer_keeps_is_forgotten_from_its_end() -> None:
    blocks = len(conversation("old").blocks)
    placement = Placement(capacity=blocks + 2)
    placement.sent(conversation("old"), "a")
    placement.sent(conversation("new"), "a")
    assert placement.matched(conversation("new"), "a") == len(conversation("new").blocks)
    assert placement.matched(conversation("old"), "a") == 2


def test_a_place_that_is_gone_is_forgotten() -> None:
    placement = Placement()
    placement.sent(conversation("u"), "a")
    placement.forget("a")
    placement.forget("b")
    assert placement.places == set()
    assert placement.matched(conversation("u"), "a") == 0
    placement.sent(conversation("u"), "b")
    assert first(placement, conversation("u"), IDLE) == "b"


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 20), min_size=1),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3), st.integers(1, 3))),
    st.none() | st.integers(0, 3),
)
def test_every_place_comes_once_whatever_was_sent(
    loads: dict[str, int], sent: list[tuple[str, int, int]], asked: int | None
) -> None:
    placement = Placement(capacity=20)
    for place, name, turns in sent:
        placement.sent(conversation(str(name), turns), place)
    prefix = None if asked is None else conversation(str(asked), 2)
    order = list(placement.order(prefix, loads))
    assert sorted(order) == sorted(loads)
    mean = (sum(loads.values()) + 1) / len(loads)
    assert loads[order[0]] <= 1.25 * mean + 1
