"""What /openapi.json says of vector stores."""

from typing import Any

from ...retrieval.records import STATUSES
from .. import listing
from ..describe import (
    BOOLEAN,
    COUNT,
    GUEST,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    Described,
    Schema,
    array,
    closed,
    const,
    enum,
    nullable,
    operation,
    record,
)
from .fields import MOST_LISTED

_TAG = "vector stores"
_STORE = "/v1/vector_stores/{store}"
_FILE = f"{_STORE}/files/{{file}}"
_BATCH = f"{_STORE}/file_batches/{{batch}}"
_KEPT = (404, 503, 507)
_EMBEDDED = (404, 507, *GUEST)
_PLAIN = {"anyOf": [{"type": "string", "maxLength": 512}, NUMBER, BOOLEAN]}


def _pairs(values: Schema) -> Schema:
    names = {"maxLength": 64}
    return {
        "type": "object",
        "maxProperties": 16,
        "propertyNames": names,
        "additionalProperties": values,
    }


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


_METADATA = _pairs({"type": "string", "maxLength": 512})
_ATTRIBUTES = _pairs(_PLAIN)
_EXPIRES = {"anchor": const("last_active_at"), "days": _whole(1, 365)}
_SIZES = {"max_chunk_size_tokens": _whole(100, 4096), "chunk_overlap_tokens": _whole(0, 4096)}
_CHUNKING = {
    "anyOf": [
        closed({"type": const("auto")}),
        closed({"type": const("static"), "static": closed(_SIZES)}),
    ]
}
_COUNTS = record(dict.fromkeys((*STATUSES, "total"), COUNT))
_VECTOR_STORE = record(
    {
        "id": STRING,
        "object": const("vector_store"),
        "created_at": INTEGER,
        "name": STRING,
        "description": STRING,
        "usage_bytes": COUNT,
        "file_counts": _COUNTS,
        "status": enum("expired", "in_progress", "completed"),
        "expires_after": nullable(record(_EXPIRES)),
        "expires_at": nullable(INTEGER),
        "last_active_at": INTEGER,
        "metadata": _METADATA,
    }
)
_ENTRY = record(
    {
        "id": STRING,
        "object": const("vector_store.file"),
        "created_at": INTEGER,
        "vector_store_id": STRING,
        "status": enum(*STATUSES),
        "usage_bytes": COUNT,
        "last_error": nullable(record({"code": STRING, "message": STRING})),
        "chunking_strategy": record({"type": const("static"), "static": record(_SIZES)}),
        "attributes": _ATTRIBUTES,
    }
)
_FILE_BATCH = record(
    {
        "id": STRING,
        "object": const("vector_store.files_batch"),
        "created_at": INTEGER,
        "vector_store_id": STRING,
        "status": enum(*STATUSES),
        "file_counts": _COUNTS,
    }
)
_TEXT = record({"type": const("text"), "text": STRING})
_PAGED = {"has_more": BOOLEAN, "next_page": nullable(STRING)}
_HITS = record(
    {
        "object": const("vector_store.search_results.page"),
        "search_query": array(STRING),
        "data": array(
            record(
                {
                    "file_id": STRING,
                    "filename": STRING,
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                    "attributes": _ATTRIBUTES,
                    "content": array(_TEXT),
                }
            )
        ),
        **_PAGED,
    }
)
_ORDERED = {**listing.asked(MOST_LISTED), "before": STRING}
_BY_STATUS = {**_ORDERED, "filter": enum(*STATUSES)}
_GIVEN = {"attributes": nullable(_ATTRIBUTES), "chunking_strategy": nullable(_CHUNKING)}
_CHANGED = {
    "name": nullable({"type": "string", "maxLength": 256}),
    "metadata": nullable(_METADATA),
    "expires_after": nullable(closed(_EXPIRES)),
}
_NEW_FILE = closed({"file_id": STRING}, **_GIVEN)
_COMPARISON = {
    "anyOf": [
        closed(
            {
                "type": enum("eq", "ne", "gt", "gte", "lt", "lte"),
                "key": STRING,
                "value": {"anyOf": [STRING, NUMBER, BOOLEAN]},
            }
        ),
        closed(
            {
                "type": enum("in", "nin"),
                "key": STRING,
                "value": array({"anyOf": [STRING, NUMBER]}),
            }
        ),
    ]
}
_FILTERS = {"type": "array", "minItems": 1, "items": {"type": "object"}}
_FILTER = {"anyOf": [_COMPARISON, closed({"type": enum("and", "or"), "filters": _FILTERS})]}
_QUESTION: Schema = {"type": "string", "pattern": r"\S"}
_SEARCH = closed(
    {"query": {"anyOf": [_QUESTION, array(_QUESTION, minItems=1, maxItems=32)]}},
    max_num_results=nullable(_whole(1, 50)),
    filters=nullable(_FILTER),
    ranking_options=nullable(
        closed(
            {},
            ranker=enum("auto", "none"),
            score_threshold={"type": "number", "minimum": 0, "maximum": 1},
        )
    ),
    rewrite_query=nullable({"const": False}),
)


def _deleted(kind: str) -> dict[str, Any]:
    return {JSON: record({"id": STRING, "object": const(f"{kind}.deleted"), "deleted": BOOLEAN})}


DESCRIBED: Described = {
    ("/v1/vector_stores", "GET"): operation(
        "The vector stores, a page at a time",
        tag=_TAG,
        query=_ORDERED,
        answers={JSON: listing.described(_VECTOR_STORE)},
        errors=(400, *_KEPT),
    ),
    ("/v1/vector_stores", "POST"): operation(
        "Make a vector store, with files if there are any",
        tag=_TAG,
        body=closed(
            {},
            **_CHANGED,
            description=nullable({"type": "string", "maxLength": 65536}),
            file_ids=nullable(array(STRING, maxItems=2000)),
            chunking_strategy=nullable(_CHUNKING),
        ),
        answers={JSON: _VECTOR_STORE},
        errors=_EMBEDDED,
    ),
    (_STORE, "GET"): operation(
        "What a vector store is", tag=_TAG, answers={JSON: _VECTOR_STORE}, errors=_KEPT
    ),
    (_STORE, "POST"): operation(
        "Change a vector store",
        tag=_TAG,
        body=closed({}, **_CHANGED),
        answers={JSON: _VECTOR_STORE},
        errors=_KEPT,
    ),
    (_STORE, "DELETE"): operation(
        "Delete a vector store; its files stay",
        tag=_TAG,
        answers=_deleted("vector_store"),
        errors=_KEPT,
    ),
    (f"{_STORE}/search", "POST"): operation(
        "The chunks whose meaning is nearest to a question",
        tag=_TAG,
        body=_SEARCH,
        answers={JSON: _HITS},
        errors=_EMBEDDED,
    ),
    (f"{_STORE}/files", "GET"): operation(
        "The files of a vector store, a page at a time",
        tag=_TAG,
        query=_BY_STATUS,
        answers={JSON: listing.described(_ENTRY)},
        errors=(400, *_KEPT),
    ),
    (f"{_STORE}/files", "POST"): operation(
        "Add a file, which is indexed in the background",
        tag=_TAG,
        body=_NEW_FILE,
        answers={JSON: _ENTRY},
        errors=_EMBEDDED,
    ),
    (_FILE, "GET"): operation(
        "What became of a file", tag=_TAG, answers={JSON: _ENTRY}, errors=_KEPT
    ),
    (_FILE, "POST"): operation(
        "Change a file's attributes",
        tag=_TAG,
        body=closed({"attributes": nullable(_ATTRIBUTES)}),
        answers={JSON: _ENTRY},
        errors=_KEPT,
    ),
    (_FILE, "DELETE"): operation(
        "Remove a file from a vector store",
        tag=_TAG,
        answers=_deleted("vector_store.file"),
        errors=_KEPT,
    ),
    (f"{_FILE}/content", "GET"): operation(
        "A file's chunks",
        tag=_TAG,
        answers={
            JSON: record(
                {
                    "object": const("vector_store.file_content.page"),
                    "data": array(_TEXT),
                    **_PAGED,
                }
            )
        },
        errors=(400, *_KEPT),
    ),
    (f"{_STORE}/file_batches", "POST"): operation(
        "Add several files",
        tag=_TAG,
        body=closed(
            {},
            file_ids=array(STRING, maxItems=2000),
            files=array(_NEW_FILE, minItems=1, maxItems=2000),
            **_GIVEN,
        ),
        answers={JSON: _FILE_BATCH},
        errors=_EMBEDDED,
    ),
    (_BATCH, "GET"): operation(
        "What became of files that were added together",
        tag=_TAG,
        answers={JSON: _FILE_BATCH},
        errors=_KEPT,
    ),
    (f"{_BATCH}/cancel", "POST"): operation(
        "Stop indexing them", tag=_TAG, answers={JSON: _FILE_BATCH}, errors=_KEPT
    ),
    (f"{_BATCH}/files", "GET"): operation(
        "The files of a batch, a page at a time",
        tag=_TAG,
        query=_BY_STATUS,
        answers={JSON: listing.described(_ENTRY)},
        errors=(400, *_KEPT),
    ),
}
