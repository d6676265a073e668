"""What clients are told where something cannot be kept or read."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..storage.database import Unreachable
from .errors import ApiError, retry_after

_AGAIN = 5  # seconds
_CURE = "see to the disk, or give another --data-dir"


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Raises ApiError in the place of OSError, about ``what`` is kept."""
    try:
        yield
    except Unreachable as error:
        message = f"{what} cannot be had now: {error}"
        code, headers = "storage_unavailable", retry_after(_AGAIN)
        raise ApiError(503, message, code=code, headers=headers) from error
    except OSError as error:
        message = f"{what} cannot be kept: {error.strerror or error}; {_CURE}"
        raise ApiError(507, message, code="storage_error") from error
