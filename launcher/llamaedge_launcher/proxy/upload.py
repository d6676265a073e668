"""A multipart form with one file in it, which goes to disk as it comes."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from ..files.index import StoredFile
from ..files.kept import PURPOSE, Arriving, FileStore
from .errors import ApiError, unread

_FILE = "file"
_LONGEST_FIELD = 1024  # bytes
_FORM = 1024 * 1024  # bytes of a form beside the file's
_MOST_PARTS = 16
PURPOSE_PATTERN = "^[A-Za-z0-9_.:-]{1,64}$"
_PURPOSE = re.compile(PURPOSE_PATTERN.replace("$", r"\Z"))
_NAME = re.compile(rb"filename\*\s*=\s*(?:utf-8|UTF-8)''([^;\s]*)")
_QUOTED = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # HTML, multipart/form-data encoding


async def receive_file(
    scope: Scope, receive: Receive, store: FileStore, *, most: int
) -> StoredFile:
    """Store the file of the request's form, of at most ``most`` bytes.

    Raises ApiError 400, 413, 415, ClientDisconnect, and OSError where it cannot be kept; then
    nothing is stored.
    """
    form = _Form(scope, store, most)
    length = dict(scope["headers"]).get(b"content-length")
    if length is not None and int(length) > most + _FORM:
        raise form.too_large()
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            await form.feed(message.get("body", b""))
            if not message.get("more_body", False):
                return await form.keep()
    finally:
        await run_in_threadpool(form.drop)


class _Form:
    """The parser's calls, and the steps that they lead to once it returns."""

    def __init__(self, scope: Scope, store: FileStore, most: int) -> None:
        self._scope = scope
        self._store = store
        self._most = most
        self._steps: list[tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]] = []
        self._header: tuple[bytes, bytes] = (b"", b"")
        self._disposition = b""
        self._parts = 0
        self._field: str | None = None
        self._fields: dict[str, bytes] = {}
        self._incoming: Arriving | None = None
        self._kept = False
        self._ended = False
        self._beside = 0
        self._parser = MultipartParser(
            _boundary(scope),
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    async def feed(self, data: bytes) -> None:
        """Take in the next bytes of the body. Raises ApiError and OSError."""
        size = self._incoming.size if self._incoming else 0
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise self._bad(f"the form is not multipart/form-data: {error}") from error
        steps, self._steps = self._steps, []
        for step, arguments in steps:
            await step(*arguments)
        self._beside += len(data) - ((self._incoming.size if self._incoming else 0) - size)
        if self._beside > _FORM:
            raise self._bad("the form holds too much beside its file")

    async def keep(self) -> StoredFile:
        """The file, once the body has ended. Raises ApiError and OSError."""
        if not self._ended:
            raise self._bad("the form ends before its last boundary")
        if self._incoming is None:
            raise self._bad("the form has no file; send one as the field 'file'", param=_FILE)
        if any(name.startswith("expires_after") for name in self._fields):
            raise self._bad("files do not expire here", param="expires_after")
        purpose = self._fields.get("purpose", PURPOSE.encode()).decode(errors="replace")
        if not _PURPOSE.fullmatch(purpose):
            message = "a purpose is at most 64 letters, digits and the signs . : _ -"
            raise self._bad(message, param="purpose")
        file = await run_in_threadpool(self._incoming.keep, purpose)
        self._kept = True
        return file

    def drop(self) -> None:
        """Leave nothing of a file that was not kept."""
        if self._incoming is not None and not self._kept:
            self._incoming.drop()

    def too_large(self) -> ApiError:
        """The answer to a file of more than the most."""
        message = f"the file is larger than {self._most} bytes; --max-file-size says how many"
        close = unread(self._scope)
        return ApiError(413, message, code="file_too_large", param=_FILE, headers=close)

    def _bad(self, message: str, *, param: str | None = None) -> ApiError:
        code, close = "invalid_form", unread(self._scope)
        return ApiError(400, message, code=code, param=param, headers=close)

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise FormParserError(f"it has more than {_MOST_PARTS} parts")
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], b"")

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _header_ends(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = (b"", b"")

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        extended = _NAME.search(self._disposition)
        if extended:
            filename = unquote_to_bytes(extended[1])
        self._steps.append((self._open, (name, filename)))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._steps.append((self._take, (data[start:end],)))

    def _end(self) -> None:
        self._ended = True

    async def _open(self, name: str, filename: bytes | None) -> None:
        self._field = None if name == _FILE else name
        if name != _FILE:
            self._fields[name] = b""
        elif not filename:
            raise self._bad("the field 'file' is no file: it has no filename", param=_FILE)
        elif self._incoming is not None:
            raise self._bad("the form has two files; send one at a time", param=_FILE)
        else:
            text = filename.decode(errors="replace")
            for quoted, plain in _QUOTED.items():
                text = text.replace(quoted, plain)
            self._incoming = await run_in_threadpool(self._store.receive, text)

    async def _take(self, data: bytes) -> None:
        if self._field is not None:
            value = self._fields[self._field] + data
            if len(value) > _LONGEST_FIELD:
                message = f"the field {self._field!r} is longer than {_LONGEST_FIELD} bytes"
                raise self._bad(message, param=self._field)
            self._fields[self._field] = value
        elif self._incoming is not None:
            if self._incoming.size + len(data) > self._most:
                raise self.too_large()
            await run_in_threadpool(self._incoming.write, data)


def _boundary(scope: Scope) -> bytes:
    kind = dict(scope["headers"]).get(b"content-type", b"")
    name, options = parse_options_header(kind)
    if name != b"multipart/form-data":
        message = "send the file as multipart/form-data, in the field 'file'"
        raise ApiError(415, message, code="unsupported_media_type", headers=unread(scope))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        message = "the Content-Type of the form has no boundary of 1 to 70 characters"
        raise ApiError(400, message, code="invalid_form", headers=unread(scope))
    return boundary
