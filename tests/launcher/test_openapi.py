"""/openapi.json: it is OpenAPI, and tells of every route."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from starlette.routing import Route

from llamaedge_launcher import proxy
from llamaedge_launcher.proxy.routing import Methods, operations

from .conftest import StartFront, routes


def test_every_route_is_described() -> None:
    for route in routes():
        if isinstance(route, Route):
            assert isinstance(route.app, Methods), route.path
            assert set(route.app.operations) == set(route.app.methods), route.path


def test_nothing_is_described_that_is_not_served() -> None:
    modules = pkgutil.walk_packages(proxy.__path__, f"{proxy.__name__}.")
    tables = [getattr(importlib.import_module(each.name), "DESCRIBED", {}) for each in modules]
    assert {key for table in tables for key in table} == {
        (path, method) for path, method, _ in operations(routes())
    }


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
