"""The prefixes of requests."""

from typing import Any

import pytest

from llamaedge_launcher.affinity import Prefix, prefix_of
from llamaedge_launcher.affinity.prefix import BLOCK, MOST_BLOCKS

SYSTEM = {"role": "system", "content": "You help. " * 100}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def found(*messages: dict[str, Any], **more: Any) -> Prefix:
    prefix = prefix_of({"messages": list(messages), **more})
    assert prefix is not None
    return prefix


def shared(one: Prefix, other: Prefix) -> int:
    pairs = zip(one.blocks, other.blocks, strict=False)
    return next(
        (n for n, (a, b) in enumerate(pairs) if a != b), min(map(len, (one.blocks, other.blocks)))
    )


def test_a_conversation_goes_on_from_its_own_prefix_under_one_key() -> None:
    first = found(SYSTEM, user("What is a llama? " * 50))
    answer = {"role": "assistant", "content": "An animal. " * 50}
    second = found(SYSTEM, user("What is a llama? " * 50), answer, user("And an alpaca?"))
    assert second.key == first.key
    assert len(second.blocks) > len(first.blocks) >= 1800 // BLOCK
    assert shared(first, second) == len(first.blocks)


def test_conversations_of_one_system_prompt_share_it_and_not_their_key() -> None:
    one, other = found(SYSTEM, user("a" * 600)), found(SYSTEM, user("b" * 600))
    assert one.key != other.key
    assert 0 < shared(one, other) < min(len(one.blocks), len(other.blocks))


def test_a_changed_beginning_shares_nothing() -> None:
    one = found(SYSTEM, user("a" * 600))
    other = found({**SYSTEM, "content": "X" + SYSTEM["content"]}, user("a" * 600))
    assert shared(one, other) == 0


def test_tools_come_first_as_templates_have_them() -> None:
    tools = [{"type": "function", "function": {"name": "look", "description": "x" * 500}}]
    assert shared(found(user("a" * 600), tools=tools), found(user("b" * 600), tools=tools)) >= 1
    assert shared(found(user("a" * 600), tools=tools), found(user("a" * 600))) == 0


def test_a_given_key_is_the_key() -> None:
    one = found(user("a"), prompt_cache_key="mine")
    assert one.key == found(user("b"), prompt_cache_key="mine").key != found(user("a")).key
    assert found(user("a"), prompt_cache_key="").key == found(user("a")).key


def test_a_bare_prompt_is_known_by_its_beginning() -> None:
    one, other = (prefix_of({"prompt": "a" * 2000 + end}) for end in ("b" * 500, "c" * 500))
    assert one and other and one.key == other.key
    assert shared(one, other) == 2000 // BLOCK


@pytest.mark.parametrize(
    "fields",
    [{}, {"input": "text"}, {"prompt": ""}, {"prompt": ["a", "b"]}, {"messages": "no"},
     {"messages": []}],
)  # fmt: skip
def test_what_no_server_keeps_has_no_prefix(fields: dict[str, Any]) -> None:
    assert prefix_of(fields) is None


def test_odd_messages_have_one() -> None:
    odd = found({"content": None}, user("\ud800" * 300), *[{"role": 3, "content": [{"a": 1}]}])
    assert odd.blocks


def test_a_long_text_is_compared_up_to_a_bound() -> None:
    assert len(found(user("x" * (BLOCK * MOST_BLOCKS + 5000))).blocks) == MOST_BLOCKS
