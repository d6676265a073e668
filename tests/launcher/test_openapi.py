"""/openapi.json: it is OpenAPI, and tells of every route."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from llamaedge_launcher.proxy.app import DESCRIBED, create_app
from llamaedge_launcher.proxy.openapi import served
from llamaedge_launcher.settings import Settings

from .conftest import Loading, StartFront


def routes() -> list[tuple[str, str]]:
    app = create_app(None, Loading(), Settings(), known_only=True, local=True)  # type: ignore[arg-type]
    return list(served(app.routes))


@pytest.mark.parametrize(("path", "method"), routes())
def test_every_route_is_described(path: str, method: str) -> None:
    described = DESCRIBED.get((path, method))
    assert described, (
        f"{method} {path}: add it to DESCRIBED of its module, and that to proxy/app.py"
    )
    assert described["summary"]
    assert described["tags"]


def test_nothing_is_described_that_is_not_served() -> None:
    assert set(DESCRIBED) == set(routes())


def document(client: httpx.Client) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def schemas(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "schema" and "properties" not in value:
                yield each
            else:
                yield from schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas(each)


def test_every_schema_is_one(client: httpx.Client) -> None:
    found = list(schemas(document(client)["paths"]))
    assert len(found) > 30
    for each in found:
        Draft202012Validator.check_schema(each)


def test_paths_have_their_parameters(client: httpx.Client) -> None:
    operations = document(client)["paths"]["/v1/files/{id}/content"]["get"]
    (parameter,) = operations["parameters"]
    assert parameter == {
        "name": "id", "in": "path", "required": True, "schema": {"type": "string"}
    }  # fmt: skip


def test_keys_are_told_of_where_there_are_some(
    client: httpx.Client, start_front: StartFront
) -> None:
    open_ = document(client)
    assert open_["security"] == []
    assert "401" not in open_["paths"]["/v1/models"]["get"]["responses"]
    front = start_front(keys=["k"])
    with front.client() as other:
        assert other.get("/openapi.json").status_code == 401
        other.headers["X-Api-Key"] = "k"
        closed = document(other)
    assert closed["security"] == [{"bearer": []}, {"key": []}]
    assert "401" in closed["paths"]["/v1/models"]["get"]["responses"]
    assert closed["paths"]["/health"]["get"]["security"] == []
    assert "401" not in closed["paths"]["/health"]["get"]["responses"]
