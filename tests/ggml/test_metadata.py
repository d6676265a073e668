"""Metadata: every key, every kind of wrong value, all or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml.metadata.keys import ALIASES, BY_NAME, KEYS, Change, Key, Scope
from llamaedge_host.ggml.metadata.parse import DEFAULTS, Settings, parse
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

OTHER: dict[type, Any] = {bool: True, int: 1, float: 0.5, str: "x"}


def other(key: Key) -> Any:
    """A value of ``key`` that is not its default."""
    if key.choices:
        return next(choice for choice in key.choices if choice != key.default)
    if key.kind is bool:
        return not key.default
    if key.kind is int:
        return int(key.default) - 1 if key.default == key.high else int(key.default) + 1
    return OTHER[key.kind]


def wrong(key: Key) -> Any:
    return 1 if key.kind in (str, bool) else "1"


def test_names_are_unique() -> None:
    assert len(KEYS) == len(BY_NAME)
    assert not ALIASES.keys() & BY_NAME.keys()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_key_takes_its_type_and_nothing_else(key: Key) -> None:
    value = other(key)
    read = parse(json.dumps({key.name: value}))
    if key.name != "reranking":
        assert read == {key.name: value}
    settings = Settings().with_changes(read)
    assert settings[key.name] == value
    assert Settings()[key.name] == key.default
    assert key.change in Settings().differences(settings)
    for bad in (wrong(key), None, [], {}):
        with pytest.raises(BackendError, match=key.name) as raised:
            parse(json.dumps({key.name: bad}))
        assert raised.value.errno == NnErrno.INVALID_ARGUMENT


@pytest.mark.parametrize("key", [key for key in KEYS if key.kind is int], ids=lambda key: key.name)
def test_an_integer_key_has_a_range(key: Key) -> None:
    assert parse(json.dumps({key.name: int(key.low)}))[key.name] in (key.low, 2**32 - 1)
    assert parse(json.dumps({key.name: int(key.high)})) == {key.name: key.high}
    for bad in (int(key.low) - 1, int(key.high) + 1, 10**30, 1.5, 1.0, True):
        with pytest.raises(BackendError, match=key.name):
            parse(json.dumps({key.name: bad}))


def test_a_number_key_takes_integers_and_clamps_some() -> None:
    assert parse('{"temp": 1}') == {"temp": 1.0}
    assert parse('{"temp": -1, "top-p": -0.5}') == {"temp": 0.0, "top-p": 0.0}
    assert parse('{"min-p": -0.5}') == {"min-p": -0.5}


@pytest.mark.parametrize(
    ("text", "errno"),
    [
        ("", NnErrno.INVALID_ENCODING),
        ("{", NnErrno.INVALID_ENCODING),
        ('{"temp": NaN}', NnErrno.INVALID_ENCODING),
        ('{"temp": Infinity}', NnErrno.INVALID_ENCODING),
        ("[" * 100_000, NnErrno.INVALID_ENCODING),
        ('{"x": ' * 10_000 + "1" + "}" * 10_000, NnErrno.INVALID_ENCODING),
        ('{"grammar": "\\ud800"}', NnErrno.INVALID_ENCODING),
        ("[]", NnErrno.INVALID_ARGUMENT),
        ("1", NnErrno.INVALID_ARGUMENT),
        ("null", NnErrno.INVALID_ARGUMENT),
        ('{"temp": 1e999}', NnErrno.INVALID_ARGUMENT),
        ('{"image": "a\\u0000b"}', NnErrno.INVALID_ARGUMENT),
        ('{"split-mode": "rows"}', NnErrno.INVALID_ARGUMENT),
        ('{"mirostat": 3}', NnErrno.INVALID_ARGUMENT),
    ],
)
def test_what_is_wrong_has_its_errno(text: str, errno: NnErrno) -> None:
    with pytest.raises(BackendError) as raised:
        parse(text)
    assert raised.value.errno == errno
    assert len(str(raised.value)) < 300


def test_unknown_keys_are_ignored_and_a_huge_document_read() -> None:
    assert parse('{"include_usage": null, "nothing": {"a": [1]}}') == {}
    assert parse(json.dumps({"x": "y" * 10_000_000, "temp": 1})) == {"temp": 1.0}


def test_the_first_of_two_counts_and_json_schema_has_two_names() -> None:
    assert parse('{"top-k": 1, "top-k": 2}') == {"top-k": 1}
    assert parse('{"json_schema": "{}"}') == {"json-schema": "{}"}
    assert parse('{"json_schema": null}') == {}
    assert parse('{"json_schema": "1", "json-schema": "2"}') == {"json-schema": "2"}


def test_reranking_is_embedding_by_rank() -> None:
    assert parse('{"reranking": true}') == {"reranking": True, "embedding": True, "pooling-type": 4}
    assert parse('{"reranking": false}') == {"reranking": False}


def test_a_seed_below_zero_is_random() -> None:
    assert parse('{"seed": -1}') == {"seed": 2**32 - 1}


@given(st.dictionaries(st.sampled_from([*BY_NAME, "unknown"]), st.from_type(object)))
def test_any_document_is_read_or_refused(document: dict[str, object]) -> None:
    try:
        text = json.dumps(document)
    except (TypeError, ValueError):
        return
    try:
        assert parse(text).keys() <= DEFAULTS.keys()
    except BackendError as error:
        assert error.errno in (NnErrno.INVALID_ARGUMENT, NnErrno.INVALID_ENCODING)


def test_keys_of_tools_do_nothing() -> None:
    assert {key.change for key in KEYS if key.scope is Scope.TOOL} == {Change.NEVER}
