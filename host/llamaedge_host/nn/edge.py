"""What every function of ``wasi_ephemeral_nn`` does with errors and texts."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from .backend import BackendError
from .bounds import MAX_METADATA
from .errno import NnErrno
from .handles import reason

_log = logging.getLogger("llamaedge_host.nn")

_P = ParamSpec("_P")
_S = TypeVar("_S")


def answers(
    function: Callable[Concatenate[_S, _P], NnErrno],
) -> Callable[Concatenate[_S, _P], int]:
    """Make a BackendError of ``function`` the errno that it answers, and a line of the log."""

    @wraps(function)
    def call(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return function(self, *args, **kwargs)
        except BackendError as error:
            backend = f"{error.backend} backend: " if error.backend else ""
            _log.error("[WASI-NN] %s%s: %s", backend, function.__name__, reason(error))
            return error.errno

    return call


def metadata(data: memoryview) -> str:
    """The JSON in ``data``, unread. Raises BackendError: TOO_LARGE, INVALID_ENCODING."""
    if len(data) > MAX_METADATA:
        raise too_much_metadata(len(data))
    return decoded(bytes(data), NnErrno.INVALID_ENCODING)


def too_much_metadata(size: int) -> BackendError:
    """Metadata of ``size`` bytes is more than may be."""
    return BackendError(
        NnErrno.TOO_LARGE, f"the metadata has {size} bytes; {MAX_METADATA} are the most"
    )


def decoded(data: bytes, errno: NnErrno) -> str:
    """The text in ``data``. Raises BackendError with ``errno``."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BackendError(errno, f"a name or metadata is not UTF-8: {error}") from None
