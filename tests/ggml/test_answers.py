"""What is made by a schema validates by it, and what cannot be followed is named.

The environment's LLAMAEDGE_SCHEMAS says how many schemas are made up, 30 if it does not; with 600
of them, all others are tried on SmolLM2 too, and not one in twenty.
"""

import json
import os
from collections import Counter
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema.validators
import pytest
from jsonschema.protocols import Validator

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from ..models import tiny
from .conftest import FRANCE, Load, stream
from .schemas import KEYWORDS, Schema, anything, of_pydantic

MADE = int(os.environ.get("LLAMAEDGE_SCHEMAS", "30"))
MOST = 150
"""Tokens of an answer; one that has not ended by then is not looked at."""


def keywords(schema: Any) -> set[str]:
    """All names in ``schema``."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if isinstance(schema, dict):
        return schema.keys() | set().union(*map(keywords, schema.values()))
    return set()


def exact(value: Any) -> Any:
    """``value`` as it is read back, with numbers that are no floats."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def number(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:  # its exponent has twenty digits
        return float(text)


def validator(schema: Schema) -> Validator:
    return jsonschema.validators.validator_for(schema)(exact(schema))


def outcome(context: GgmlContext, schema: Schema) -> str:
    """Make an answer by ``schema``, and check it or the refusal."""
    try:
        context.set_input(1, 3, json.dumps({"json-schema": json.dumps(schema)}).encode())
    except BackendError as error:
        assert any(name in str(error) for name in keywords(schema)), (schema, error)
        return "refused"
    pieces, errno = stream(context, FRANCE, MOST)
    if errno is not NnErrno.END_OF_SEQUENCE:
        return "cut"
    answer = json.loads(b"".join(pieces), parse_float=number)
    try:
        with localcontext(prec=1000):
            validator(schema).validate(answer)
    except RecursionError:  # jsonschema follows a $ref that names itself for ever
        return "circular"
    return "valid"


@pytest.fixture
def random_weights(load: Load, tmp_path: Path) -> GgmlContext:
    return load(tiny.llama(tmp_path / "brief.gguf", brief=True), temp=1.5, seed=3).context()


@pytest.fixture
def smollm2_context(load: Load) -> GgmlContext:
    return load(temp=1.0, seed=3).context()


@pytest.mark.timeout(600)
def test_schemas_of_all_keywords(random_weights: GgmlContext) -> None:
    made = Counter(outcome(random_weights, schema) for schema in KEYWORDS + of_pydantic())
    assert made["valid"] > made["refused"] > 20
    assert made["valid"] > 5 * made["cut"]


@pytest.mark.timeout(3600)
def test_schemas_of_all_keywords_on_a_model_that_writes(smollm2_context: GgmlContext) -> None:
    schemas = (KEYWORDS + of_pydantic())[:: max(600 // MADE, 1)]
    made = Counter(outcome(smollm2_context, schema) for schema in schemas)
    assert made["valid"] > len(schemas) // 3


@pytest.mark.timeout(3600)
def test_schemas_of_whatever_comes(random_weights: GgmlContext) -> None:
    made: Counter[str] = Counter()

    @hypothesis.settings(
        max_examples=MADE,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(anything)
    def follow(schema: Schema) -> None:
        made[outcome(random_weights, schema)] += 1

    follow()
    assert made["valid"] > MADE // 4
