"""A form with a recording in it, as one object of its fields."""

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import Receive, Scope

from ..body import read_body
from ..dialects.bridge import Json, replayed
from ..errors import ApiError, unread

FILE = "file"
_MOST_FIELDS = 16
_LONGEST_FIELD = 65536  # bytes


async def read_form(scope: Scope, receive: Receive) -> Json:
    """The fields, texts but for the file's bytes. Raises ApiError 400, 413 and 415.

    A field whose name ends with ``[]`` is a list. Raises ClientDisconnect.
    """
    kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        message = f"send the recording as multipart/form-data, in the field {FILE!r}"
        raise ApiError(415, message, code="unsupported_media_type", headers=unread(scope))
    body = await read_body(scope, receive)
    request = Request(scope, replayed(body, receive))
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=1,
        max_fields=_MOST_FIELDS,
        max_part_size=_LONGEST_FIELD,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, HTTPException, KeyError, ValueError) as error:
        why = getattr(error, "message", None) or f"it cannot be read: {error}"
        raise ApiError(400, f"the form: {why}", code="invalid_form") from error
    try:
        return await _fields(form)
    finally:
        await form.close()


async def _fields(form: FormData) -> Json:
    found: Json = {}
    for name, value in form.multi_items():
        content = await value.read() if isinstance(value, UploadFile) else value
        if name.endswith("[]"):
            found.setdefault(name.removesuffix("[]"), []).append(content)
        elif name in found:
            raise ApiError(400, f"{name}: it is there twice", code="invalid_form", param=name)
        else:
            found[name] = content
    return found
