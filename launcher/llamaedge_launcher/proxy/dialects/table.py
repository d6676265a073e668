"""The paths of Anthropic's API and of Ollama's, and what the front says of them."""

from collections.abc import Mapping, Sequence

from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from ..describe import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    EVENTS,
    GUEST,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    Described,
    Operation,
    Schema,
    array,
    const,
    enum,
    nullable,
    operation,
    record,
)
from ..manage import ManagedModels
from ..routing import routes_of
from . import anthropic, ollama, ollama_models
from .bridge import Bridge, Dialect, Json, json_or_form
from .inside import ask

_INFO = "/v1/info"
NDJSON = "application/x-ndjson"


def routes(endpoints: Mapping[str, ASGIApp], managed: ManagedModels) -> list[Route]:
    """Answer by OpenAI's ``endpoints`` and those of models that come from a hub."""

    async def context() -> int | None:
        info: Json = await ask(endpoints[_INFO], _INFO)
        size = (info.get("chat_model") or {}).get("ctx_size")
        return size if isinstance(size, int) and size > 0 else None

    async def unload(name: str) -> None:
        model = ollama_models.find(await managed.told(), name)
        await managed.unload(model["name"])

    models = ollama_models.OllamaModels(managed.identified)
    gets: dict[str, ASGIApp] = {
        "/api/tags": request_response(models.tags),
        "/api/ps": request_response(models.ps),
        "/api/version": request_response(models.version),
    }
    posts: dict[str, Dialect] = {
        "/v1/messages": anthropic.Messages(),
        "/v1/messages/count_tokens": anthropic.CountTokens(),
    }
    of_ollama: dict[str, Dialect] = {
        "/api/chat": ollama.Chat(context, unload),
        "/api/generate": ollama.Generate(context, unload),
        "/api/embed": ollama.Embed(),
        "/api/embeddings": ollama.Embeddings(),
        "/api/show": ollama_models.Show(managed.told),
        "/api/copy": ollama_models.Copy(managed.told),
        "/api/pull": ollama_models.Pull(),
    }
    bridges: dict[str, ASGIApp] = {
        **{path: Bridge(each, endpoints) for path, each in posts.items()},
        **{path: Bridge(each, endpoints, json_or_form) for path, each in of_ollama.items()},
    }
    apps: dict[str, dict[str, ASGIApp]] = {
        **{path: {"GET": app} for path, app in gets.items()},
        **{path: {"POST": app} for path, app in bridges.items()},
        "/api/delete": {"DELETE": Bridge(ollama_models.Delete(), endpoints, json_or_form)},
    }
    return routes_of(apps, DESCRIBED)


_BLOCKS = {"anyOf": [STRING, array(record({"type": STRING}))]}
_MESSAGE = record({"role": enum("user", "assistant"), "content": _BLOCKS})
_CONVERSATION = {
    "model": STRING,
    "messages": array(_MESSAGE),
}
_USED = record({"input_tokens": COUNT, "output_tokens": COUNT})
_ANSWER = record(
    {
        "id": STRING,
        "type": const("message"),
        "role": const("assistant"),
        "model": STRING,
        "content": array(record({"type": enum("text", "thinking", "tool_use")})),
        "stop_reason": enum("end_turn", "max_tokens", "stop_sequence", "tool_use"),
        "stop_sequence": nullable(STRING),
        "usage": _USED,
    }
)
_EVENT = record({"event": STRING, "data": STRING})
_ANTHROPIC_ERROR = record(
    {"type": const("error"), "error": record({"type": STRING, "message": STRING})}
)
_OLLAMA_ERROR = record({"error": STRING})
_OPTIONS: dict[str, Schema] = {
    "stream": nullable(BOOLEAN),
    "options": nullable({"type": "object"}),
    "format": {"anyOf": [{"type": "null"}, enum("", "json"), {"type": "object"}]},
    "think": {"anyOf": [{"type": "null"}, BOOLEAN, enum("low", "medium", "high")]},
    "keep_alive": nullable({"anyOf": [NUMBER, STRING]}),
}
_TOLD = {"model": STRING, "created_at": STRING, "done": BOOLEAN}
_FAILURES = (400, 403, 404, 409, 413, 415, 507, *GUEST)


def _request(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """A request that may have no other fields."""
    return {**record(required, **optional), "additionalProperties": False}


def _with_errors(
    described: Operation, error: Schema, statuses: Sequence[int] = _FAILURES
) -> Operation:
    """``described``, whose errors are its API's."""
    content = {JSON: {"schema": error}}
    told = {str(each): {"description": "What is wrong", "content": content} for each in statuses}
    return {**described, "responses": {**described["responses"], **told}}


_DETAILS = {"type": "object"}
_LISTED = record(
    {"name": STRING, "model": STRING, "size": COUNT, "digest": STRING, "details": _DETAILS},
    modified_at=STRING,
)
DESCRIBED: Described = {
    ("/api/tags", "GET"): _with_errors(
        operation(
            "Ollama's list of models",
            tag="ollama",
            answers={JSON: record({"models": array(_LISTED)})},
        ),
        _OLLAMA_ERROR,
        (403,),
    ),
    ("/api/ps", "GET"): _with_errors(
        operation(
            "Ollama's list of loaded models",
            tag="ollama",
            answers={JSON: record({"models": array(_LISTED)})},
        ),
        _OLLAMA_ERROR,
        (403,),
    ),
    ("/api/version", "GET"): _with_errors(
        operation(
            "The version of Ollama whose API this is",
            tag="ollama",
            answers={JSON: record({"version": STRING})},
        ),
        _OLLAMA_ERROR,
        (403,),
    ),
    ("/api/pull", "POST"): _with_errors(
        operation(
            "Fetch a model",
            tag="ollama",
            body=_request({}, model=STRING, name=STRING, stream=nullable(BOOLEAN)),
            answers={JSON: {"type": "object"}, NDJSON: ANYTHING},
        ),
        _OLLAMA_ERROR,
    ),
    ("/api/copy", "POST"): _with_errors(
        operation(
            "Not here: models have the names that they were fetched by",
            tag="ollama",
            status=400,
            body=_request({"source": STRING, "destination": STRING}),
            answers={JSON: _OLLAMA_ERROR},
        ),
        _OLLAMA_ERROR,
    ),
    ("/api/delete", "DELETE"): _with_errors(
        operation(
            "Delete a model's files",
            tag="ollama",
            body=_request({}, model=STRING, name=STRING),
            answers={JSON: {"type": "object"}},
        ),
        _OLLAMA_ERROR,
    ),
    ("/api/show", "POST"): _with_errors(
        operation(
            "What a model is",
            tag="ollama",
            body=_request({}, model=STRING, name=STRING, verbose=nullable(BOOLEAN)),
            answers={JSON: record({"details": _DETAILS, "capabilities": array(STRING)})},
        ),
        _OLLAMA_ERROR,
    ),
    ("/v1/messages", "POST"): _with_errors(
        operation(
            "Anthropic's messages",
            tag="anthropic",
            body=_request(
                {**_CONVERSATION, "max_tokens": {"type": "integer", "minimum": 1}},
                system=nullable(_BLOCKS),
                stream=nullable(BOOLEAN),
                temperature=nullable(NUMBER),
                top_p=nullable(NUMBER),
                top_k=nullable(INTEGER),
                stop_sequences=nullable(array(STRING)),
                tools=nullable(array({"type": "object"})),
                tool_choice=nullable({"type": "object"}),
                thinking=nullable({"type": "object"}),
                output_config=nullable({"type": "object"}),
                metadata=ANYTHING,
                cache_control=ANYTHING,
                service_tier=ANYTHING,
            ),
            answers={JSON: _ANSWER, EVENTS: _EVENT},
        ),
        _ANTHROPIC_ERROR,
    ),
    ("/v1/messages/count_tokens", "POST"): _with_errors(
        operation(
            "How many tokens a conversation has",
            tag="anthropic",
            body=_request(
                {"messages": _CONVERSATION["messages"]},
                model=nullable(STRING),
                system=nullable(_BLOCKS),
                thinking=nullable({"type": "object"}),
                tools=nullable(array({"type": "object"})),
            ),
            answers={JSON: record({"input_tokens": COUNT})},
        ),
        _ANTHROPIC_ERROR,
    ),
    ("/api/chat", "POST"): _with_errors(
        operation(
            "Ollama's chat",
            tag="ollama",
            body=_request(
                {"model": STRING},
                messages=nullable(array({"type": "object"})),
                tools=nullable(array({"type": "object"})),
                **_OPTIONS,
            ),
            answers={JSON: record({**_TOLD, "message": {"type": "object"}}), NDJSON: ANYTHING},
        ),
        _OLLAMA_ERROR,
    ),
    ("/api/generate", "POST"): _with_errors(
        operation(
            "Ollama's completion of a prompt",
            tag="ollama",
            body=_request(
                {"model": STRING},
                prompt=nullable(STRING),
                system=nullable(STRING),
                suffix=nullable(STRING),
                images=nullable(array(STRING)),
                raw=nullable(BOOLEAN),
                **_OPTIONS,
            ),
            answers={JSON: record({**_TOLD, "response": STRING}), NDJSON: ANYTHING},
        ),
        _OLLAMA_ERROR,
    ),
    ("/api/embed", "POST"): _with_errors(
        operation(
            "Ollama's embeddings of texts",
            tag="ollama",
            body=_request(
                {"model": STRING, "input": {"anyOf": [STRING, array(STRING)]}},
                dimensions=nullable(INTEGER),
                truncate=nullable(BOOLEAN),
                keep_alive=_OPTIONS["keep_alive"],
            ),
            answers={JSON: record({"model": STRING, "embeddings": array(array(NUMBER))})},
        ),
        _OLLAMA_ERROR,
    ),
    ("/api/embeddings", "POST"): _with_errors(
        operation(
            "Ollama's embedding of one text",
            tag="ollama",
            body=_request({"model": STRING, "prompt": STRING}, keep_alive=_OPTIONS["keep_alive"]),
            answers={JSON: record({"embedding": array(NUMBER)})},
        ),
        _OLLAMA_ERROR,
    ),
}
