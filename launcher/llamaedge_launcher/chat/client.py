"""Asks a server, and reads its answer as it comes."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from ..errors import LauncherError
from .conversation import Message

logging.getLogger("httpx").setLevel(logging.WARNING)  # a request is no news in a chat

_CONNECT = 5.0  # seconds
_LONGEST = 500  # characters of an error that is no JSON


@dataclass(frozen=True)
class Piece:
    """Some of an answer's text, or of the thought before it."""

    text: str
    thought: bool = False


class Client(AbstractContextManager["Client"]):
    """A server's API at ``base_url``, such as ``http://127.0.0.1:8080/v1``."""

    def __init__(self, base_url: str, *, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            headers=headers, timeout=httpx.Timeout(None, connect=_CONNECT), trust_env=False
        )

    def models(self) -> list[str]:
        """The names of the models that it serves. Raises LauncherError."""
        try:
            answer = self._http.get(f"{self.base_url}/models", timeout=_CONNECT)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LauncherError(_unreachable(self.base_url, error)) from error
        if not answer.is_success:
            raise LauncherError(f"{self.base_url}: {_refusal(answer)}")
        try:
            return [str(each["id"]) for each in answer.json()["data"]]
        except (ValueError, LookupError, TypeError) as error:
            raise LauncherError(f"{self.base_url} is no server of OpenAI's API") from error

    def ask(self, messages: Sequence[Message], options: dict[str, Any]) -> Iterator[Piece]:
        """The answer, piece by piece; closing it stops the server. Raises LauncherError."""
        body = {"messages": messages, "stream": True, **options}
        url = f"{self.base_url}/chat/completions"
        try:
            with self._http.stream("POST", url, json=body) as answer:
                if not answer.is_success:
                    answer.read()
                    raise LauncherError(_refusal(answer))
                for line in answer.iter_lines():
                    yield from _pieces(line)
        except httpx.HTTPError as error:
            raise LauncherError(_unreachable(self.base_url, error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()


def _pieces(line: str) -> Iterator[Piece]:
    """Those of one line of the event stream."""
    data = line.removeprefix("data:").strip()
    if not line.startswith("data:") or data == "[DONE]":
        return
    try:
        chunk = json.loads(data)
    except ValueError:
        raise LauncherError(f"the server sent what is no JSON: {data[:_LONGEST]}") from None
    if "error" in chunk:
        raise LauncherError(_message(chunk))
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if thought := delta.get("reasoning_content"):
            yield Piece(thought, thought=True)
        if text := delta.get("content"):
            yield Piece(text)


def _refusal(answer: httpx.Response) -> str:
    try:
        return _message(answer.json())
    except ValueError:
        text = " ".join(answer.text.split())[:_LONGEST]
        return text or f"the server answers {answer.status_code} {answer.reason_phrase}"


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or body)


def _unreachable(url: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{url} cannot be reached: {reason}"
