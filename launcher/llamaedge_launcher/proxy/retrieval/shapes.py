"""OpenAI's objects of vector stores."""

from collections.abc import Mapping
from typing import Any

from ...retrieval.records import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    Batch,
    Entry,
    Hit,
    Store,
    Usage,
)


def store(each: Store, usage: Usage) -> dict[str, Any]:
    """The vector store."""
    busy = usage.counts[IN_PROGRESS] > 0
    return {
        "id": each.id,
        "object": "vector_store",
        "created_at": each.created_at,
        "name": each.name,
        "description": each.description,
        "usage_bytes": usage.bytes,
        "file_counts": counts(usage),
        "status": "expired" if each.expired else IN_PROGRESS if busy else COMPLETED,
        "expires_after": each.days and {"anchor": "last_active_at", "days": each.days},
        "expires_at": each.expires_at,
        "last_active_at": each.active,
        "metadata": each.metadata,
    }


def counts(usage: Usage) -> dict[str, int]:
    """Files by their status."""
    return {**usage.counts, "total": sum(usage.counts.values())}


def entry(each: Entry) -> dict[str, Any]:
    """A file in a vector store."""
    error = each.error_code and {"code": each.error_code, "message": each.error}
    sizes = {"max_chunk_size_tokens": each.most, "chunk_overlap_tokens": each.overlap}
    return {
        "id": each.file,
        "object": "vector_store.file",
        "created_at": each.created_at,
        "vector_store_id": each.store,
        "status": each.status,
        "usage_bytes": each.usage,
        "last_error": error,
        "chunking_strategy": {"type": "static", "static": sizes},
        "attributes": each.attributes,
    }


def batch(each: Batch, usage: Usage) -> dict[str, Any]:
    """A batch of files."""
    return {
        "id": each.id,
        "object": "vector_store.files_batch",
        "created_at": each.created_at,
        "vector_store_id": each.store,
        "status": _status(each, usage.counts),
        "file_counts": counts(usage),
    }


def _status(each: Batch, found: Mapping[str, int]) -> str:
    if each.cancelled:
        return CANCELLED
    if found[IN_PROGRESS]:
        return IN_PROGRESS
    return FAILED if found[FAILED] and not found[COMPLETED] else COMPLETED


def hit(each: Entry, found: Hit) -> dict[str, Any]:
    """A result of a search."""
    return {
        "file_id": each.file,
        "filename": each.filename,
        "score": found.score,
        "attributes": each.attributes,
        "content": [{"type": "text", "text": found.text}],
    }


def deleted(id_: str, kind: str) -> dict[str, Any]:
    """That something is gone."""
    return {"id": id_, "object": f"{kind}.deleted", "deleted": True}
