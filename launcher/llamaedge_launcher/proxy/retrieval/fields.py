"""The fields of requests about vector stores, each judged and named where it is wrong."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from ...retrieval import filters
from ...retrieval.records import STATUSES, Chunking
from ...retrieval.tables import Page
from .. import listing
from ..errors import ApiError

Item = TypeVar("Item")
Read = Callable[[Any, str], Any]
"""Takes a JSON value and its path, answers what it means or raises ApiError."""

_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512
_LEAST_CHUNK, _MOST_CHUNK = 100, 4096  # tokens
_MOST_DAYS = 365
_MOST_FILES = 2000
_MOST_RESULTS = 50
MOST_LISTED, _LISTED = 100, 20
_RANKERS = ("auto", "none")


def wrong(path: str, message: str, *, code: str = "invalid_value") -> ApiError:
    """A 400 about the field at ``path``."""
    return ApiError(400, f"{path} {message}", code=code, param=path)


def take(given: Mapping[str, Any], known: Mapping[str, Read], path: str = "") -> dict[str, Any]:
    """What the fields of an object mean. A field that is not known, or of no meaning, is a 400."""
    found = {}
    for name, value in given.items():
        where = f"{path}.{name}" if path else name
        if name not in known:
            raise wrong(where, "is not known here", code="unknown_parameter")
        found[name] = known[name](value, where)
    return found


def text(most: int = 65536) -> Read:
    """A string of at most ``most`` characters."""

    def read(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise wrong(path, "must be a string", code="invalid_type")
        if len(value) > most:
            raise wrong(path, f"must have at most {most} characters")
        return value

    return read


def whole(least: int, most: int) -> Read:
    """A whole number."""

    def read(value: Any, path: str) -> int:
        if type(value) is not int:
            raise wrong(path, "must be a whole number", code="invalid_type")
        if not least <= value <= most:
            raise wrong(path, f"is {value}; it must be from {least} to {most}")
        return value

    return read


def share(value: Any, path: str) -> float:
    """A number from 0 to 1."""
    if type(value) not in (int, float):
        raise wrong(path, "must be a number", code="invalid_type")
    if not 0 <= value <= 1:
        raise wrong(path, "must be from 0 to 1")
    return float(value)


def one_of(*allowed: str) -> Read:
    """One of some words."""

    def read(value: Any, path: str) -> str:
        if value not in allowed or not isinstance(value, str):
            raise wrong(path, f"is {value!r}; it must be {' or '.join(allowed)}")
        return value

    return read


def optional(read: Read, default: Any = None) -> Read:
    """As ``read`` says, and ``default`` for null."""
    return lambda value, path: default if value is None else read(value, path)


def pairs(value: Any, path: str, *, kinds: tuple[type, ...], said: str) -> dict[str, Any]:
    """At most 16 pairs of a key and a value of these kinds."""
    if not isinstance(value, dict):
        raise wrong(path, "must be an object", code="invalid_type")
    if len(value) > _PAIRS:
        raise wrong(path, f"has {len(value)} pairs; at most {_PAIRS} are taken")
    for key, each in value.items():
        where = f"{path}.{key}"
        if len(key) > _LONGEST_KEY:
            raise wrong(path, f"has a key of more than {_LONGEST_KEY} characters: {key[:80]}")
        if type(each) not in kinds or (type(each) is float and not math.isfinite(each)):
            raise wrong(where, f"must be {said}", code="invalid_type")
        if isinstance(each, str) and len(each) > _LONGEST_VALUE:
            raise wrong(where, f"must have at most {_LONGEST_VALUE} characters")
    return value


def metadata(value: Any, path: str) -> dict[str, str]:
    """Pairs of strings."""
    return pairs(value, path, kinds=(str,), said="a string")


def attributes(value: Any, path: str) -> dict[str, Any]:
    """Pairs of a string and a string, number or boolean."""
    kinds = (str, int, float, bool)
    return pairs(value, path, kinds=kinds, said="a string, a number or a boolean")


def expires_after(value: Any, path: str) -> int:
    """The days without use after which a store expires."""
    found = _object(value, path, {"anchor": one_of("last_active_at"), "days": whole(1, _MOST_DAYS)})
    days: int = found["days"]
    return days


def chunking(value: Any, path: str) -> Chunking:
    """A chunking strategy: auto, or static with its sizes."""
    kind = one_of("auto", "static")
    if not isinstance(value, dict) or kind(value.get("type"), f"{path}.type") == "auto":
        _object(value, path, {"type": kind})
        return Chunking()
    sizes = {
        "max_chunk_size_tokens": whole(_LEAST_CHUNK, _MOST_CHUNK),
        "chunk_overlap_tokens": whole(0, _MOST_CHUNK),
    }
    known = {
        "type": kind,
        "static": lambda value, path: _object(value, path, sizes),
    }
    static = _object(value, path, known)["static"]
    most, overlap = static["max_chunk_size_tokens"], static["chunk_overlap_tokens"]
    if 2 * overlap > most:
        where = f"{path}.static.chunk_overlap_tokens"
        raise wrong(where, f"is {overlap}; it must be at most half of {most}")
    return Chunking(most=most, overlap=overlap)


def file_ids(value: Any, path: str) -> list[str]:
    """Files' ids."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong(path, "must be an array of strings", code="invalid_type")
    if len(value) > _MOST_FILES:
        raise wrong(path, f"has {len(value)} files; at most {_MOST_FILES} are taken")
    return list(dict.fromkeys(value))


def files(value: Any, path: str) -> list[dict[str, Any]]:
    """Files with what each is given."""
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_FILES:
        raise wrong(path, f"must be an array of 1 to {_MOST_FILES} files")
    return [
        _object(each, f"{path}[{number}]", NEW_FILE, ("file_id",))
        for number, each in enumerate(value)
    ]


def queries(value: Any, path: str) -> list[str]:
    """A question, or several at once."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise wrong(path, "must be a string or an array of strings", code="invalid_type")
    if not 1 <= len(found) <= 32 or not all(each.strip() for each in found):
        raise wrong(path, "must have 1 to 32 questions, none of them empty")
    return found


def attribute_filter(value: Any, path: str) -> filters.Filter:
    """A filter on attributes."""
    try:
        return filters.parse(value, path)
    except filters.FilterError as error:
        raise ApiError(400, str(error), code="invalid_value", param=error.path) from error


def ranking(value: Any, path: str) -> float:
    """The least score of a result."""
    known = {"ranker": one_of(*_RANKERS), "score_threshold": share}
    threshold: float = _object(value, path, known, ()).get("score_threshold", 0.0)
    return threshold


def not_rewritten(value: Any, path: str) -> None:
    """Questions are taken as they are."""
    if value is not False:
        raise wrong(path, "is not done here; leave it out, or send false")


def _object(
    value: Any, path: str, known: Mapping[str, Read], needed: Sequence[str] | None = None
) -> dict[str, Any]:
    """An object that has the fields ``needed``; None are all that are known."""
    if not isinstance(value, dict):
        raise wrong(path, "must be an object", code="invalid_type")
    for name in known if needed is None else needed:
        if name not in value:
            where = f"{path}.{name}"
            raise wrong(where, "is missing", code="missing_required_parameter")
    return take(value, known, path)


FILE: Mapping[str, Read] = {
    "attributes": optional(attributes, {}),
    "chunking_strategy": optional(chunking, Chunking()),
}
STORE: Mapping[str, Read] = {
    "name": optional(text(256), ""),
    "metadata": optional(metadata, {}),
    "expires_after": optional(expires_after),
}
NEW_STORE: Mapping[str, Read] = {
    **STORE,
    "description": optional(text(), ""),
    "file_ids": optional(file_ids, []),
    "chunking_strategy": FILE["chunking_strategy"],
}
NEW_FILE: Mapping[str, Read] = {"file_id": text(), **FILE}
CHANGED_FILE: Mapping[str, Read] = {"attributes": optional(attributes, {})}
NEW_BATCH: Mapping[str, Read] = {"file_ids": file_ids, "files": files, **FILE}
SEARCH: Mapping[str, Read] = {
    "query": queries,
    "max_num_results": optional(whole(1, _MOST_RESULTS), 10),
    "filters": optional(attribute_filter),
    "ranking_options": optional(ranking, 0.0),
    "rewrite_query": optional(not_rewritten),
}


def listed(query: QueryParams) -> tuple[int, bool]:
    """How many are wanted of a list, and whether the newest come first."""
    limit = listing.limit_of(query, most=MOST_LISTED, otherwise=_LISTED)
    return limit, listing.newest_first(query)


def status(query: QueryParams) -> dict[str, str]:
    """The status that files are listed by."""
    wanted = query.get("filter")
    return {} if wanted is None else {"status": one_of(*STATUSES)(wanted, "filter")}


def needed(given: Mapping[str, Any], name: str) -> Any:
    """A field that must be there."""
    if name not in given:
        raise wrong(name, "is missing", code="missing_required_parameter")
    return given[name]


def cut(found: Sequence[Item], page: Page) -> Sequence[Item]:
    """What is shown of ``found``, which has one more than is wanted where there are more."""
    most = page.limit - 1
    return found[-most:] if page.backwards else found[:most]
