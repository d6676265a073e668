"""What of a request a server may have read before."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BLOCK = 256
"""Bytes of text that are compared at once, about 64 tokens of English."""
MOST_BLOCKS = 4096
"""Blocks that are compared; what comes after them does not count."""
_FIRST = 4 * BLOCK  # bytes of a bare prompt that tell a conversation from others
_DIGEST = 8  # bytes


@dataclass(frozen=True)
class Prefix:
    """The beginning of a request, by hashes.

    ``blocks`` has one of the text up to the end of each block of it. ``key`` is the same for all
    requests of a conversation.
    """

    key: bytes
    blocks: tuple[bytes, ...]


def prefix_of(fields: Mapping[str, Any]) -> Prefix | None:
    """The prefix of a request to chat or complete with these ``fields``; None if it has none.

    The key is ``prompt_cache_key`` if there is one, else what comes before the first answer.
    """
    parts = list(_parts(fields))
    if not parts:
        return None
    given = fields.get("prompt_cache_key")
    first = given.encode(errors="replace") if isinstance(given, str) and given else _first(parts)
    text = b"".join(part for _, part in parts)
    return Prefix(hashlib.blake2b(first, digest_size=_DIGEST).digest(), _chain(text))


def _parts(fields: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The text in the order in which templates have it, each part with its role."""
    messages, prompt = fields.get("messages"), fields.get("prompt")
    if isinstance(messages, list):
        if fields.get("tools"):
            yield "tools", _bytes(fields["tools"])
        for each in messages:
            role = str(each.get("role")) if isinstance(each, dict) else ""
            yield role, _bytes(each)
    elif isinstance(prompt, str) and prompt:
        yield "prompt", prompt.encode(errors="replace")


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode(errors="replace")


def _first(parts: list[tuple[str, bytes]]) -> bytes:
    found = b""
    for role, part in parts:
        if role == "prompt":
            return part[:_FIRST]
        found += part
        if role == "user":
            break
    return found


def _chain(text: bytes) -> tuple[bytes, ...]:
    running = hashlib.blake2b(digest_size=_DIGEST)
    found = []
    for end in range(BLOCK, min(len(text), BLOCK * MOST_BLOCKS) + 1, BLOCK):
        running.update(text[end - BLOCK : end])
        found.append(running.digest())
    return tuple(found)
