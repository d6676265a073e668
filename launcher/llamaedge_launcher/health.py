"""How the server is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Health:
    """``status`` is ready, loading or unavailable, and ``message`` what is wrong then.

    ``guests`` is the number of those that take requests.
    """

    status: str
    guests: int
    message: str | None = None
