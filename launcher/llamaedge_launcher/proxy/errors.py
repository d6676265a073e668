"""OpenAI's error object: ``{"error": {"message", "type", "param", "code"}}``."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..fleet.errors import DoesNotFit, InUse, LoadFailed, ModelRefused, NotManaged, UnknownModel

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_WORTH_READING = 1024 * 1024  # bytes; a client that sends more is cut off


class ApiError(Exception):
    """An answer with ``status`` and an error object.

    ``code`` names the error for programs, ``param`` the field of the request that is wrong;
    ``headers`` are sent beside the answer's own.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = tuple(headers)

    def body(self) -> bytes:
        """The error object as JSON."""
        default = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = _TYPES.get(self.status, default)
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()

    def frame(self) -> bytes:
        """The error object as one frame of an event stream."""
        return b"data: " + self.body() + b"\n\n"

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The whole answer."""
        response = Response(self.body(), self.status, headers, media_type="application/json")
        response.raw_headers += self.headers
        return response


_REFUSALS: dict[type[ModelRefused], tuple[int, str]] = {
    UnknownModel: (404, "model_not_found"),
    InUse: (409, "model_in_use"),
    NotManaged: (403, "models_not_managed"),
    LoadFailed: (500, "model_not_loaded"),
    DoesNotFit: (507, "insufficient_memory"),
}


def refused(error: ModelRefused) -> ApiError:
    """The answer to a request for a model that cannot be had."""
    status, code = _REFUSALS[type(error)]
    return ApiError(status, str(error), code=code, param="model")


def retry_after(seconds: int) -> list[tuple[bytes, bytes]]:
    """The header that tells a client when to try again."""
    return [(b"retry-after", b"%d" % seconds)]


def unread(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The header that ends the connection, if much of the request's body is still to come."""
    headers = dict(scope["headers"])
    length = int(headers.get(b"content-length", 0))
    if b"transfer-encoding" in headers or length > _WORTH_READING:
        return [(b"connection", b"close")]
    return []


async def answer_api_error(request: Request, error: Exception) -> Response:
    """Starlette's handler of ApiError."""
    assert isinstance(error, ApiError)
    return error.response()


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler of what its routing raises: unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.scope.get("method")
    messages = {
        404: (f"there is nothing at {path}", "unknown_url"),
        405: (f"{path} does not take {method}", "method_not_allowed"),
    }
    phrase = HTTPStatus(error.status_code).phrase
    message, code = messages.get(error.status_code, (error.detail or phrase, None))
    return ApiError(error.status_code, message, code=code).response(error.headers)


async def answer_exception(request: Request, error: Exception) -> Response:
    """Starlette's handler of everything else, which is a fault of this program."""
    return ApiError(500, "an error in the server; its log has the details").response()


HANDLERS: dict[Any, Any] = {
    ApiError: answer_api_error,
    HTTPException: answer_http_exception,
}
"""Starlette's handlers of what an endpoint may raise."""
