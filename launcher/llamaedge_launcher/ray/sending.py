"""A request on its way to a replica, and the answer on its way back."""

import asyncio
import json
import logging
import uuid
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from ..affinity import Prefix, prefix_of
from ..fleet.recipe import Wanted
from ..pool import Overloaded, Unavailable
from ..proxy.exchange import GuestGone
from .messages import Ask, Head, Question, Refused, Told

_log = logging.getLogger(__name__)

_TRIES = 4  # replicas that a request is sent to of which nothing has been answered
_PAUSE = 0.1  # seconds before the second of them, and twice as long before each other


class ReplicaAnswer:
    """An Answer that a replica sends piece by piece."""

    def __init__(self, stream: Any, head: Head) -> None:
        self.status = head.status
        self.headers = head.headers
        self._stream = stream

    async def read(self) -> bytes:
        """As Answer's."""
        try:
            piece = await anext(self._stream, b"")
        except (RayError, RayServeException) as error:
            raise _lost(error) from error
        if isinstance(piece, Refused):
            raise piece.error
        return bytes(piece)

    def close(self) -> None:
        """Stop the replica's work on it."""
        self._stream.cancel()


def ask_for(request: bytes, wanted: Wanted, *, computes: bool) -> Ask:
    """A request of HTTP/1.1, with what a router has to know of it."""
    prefix = _prefix(request) if computes else None
    return Ask(uuid.uuid4().hex, request, wanted, computes, prefix)


def _prefix(request: bytes) -> Prefix | None:
    _, _, body = request.partition(b"\r\n\r\n")
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return prefix_of(fields) if isinstance(fields, dict) else None


async def begun(
    handle: DeploymentHandle, model: str, asked: Ask | Question
) -> tuple[Any, Head | Told]:
    """The stream of a replica's answer, and the first of it, which has come.

    A replica that ends before that, or whose guests have, has answered nothing: the request goes
    to another one then, but only once where it had reached a guest, which it may have ended. Raises
    what Transport's ``send`` does.
    """
    method = "answer" if isinstance(asked, Ask) else "reply"
    handle = handle.options(stream=True, multiplexed_model_id=model, method_name=method)
    failure: Exception = Unavailable("no replica answers")
    reached = False
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_PAUSE * 2 ** (attempt - 1))
        stream = handle.remote(asked)
        try:
            first = await anext(stream)
        except BackPressureError as error:
            message = "as many requests as may are waiting already, as max-queue says"
            raise Overloaded(message) from error
        except (RayError, RayServeException) as error:
            if _is_fault(error):
                raise
            _log.warning("a replica ended before it answered: %s", error)
            failure = Unavailable(_first_line(error))
            continue
        except BaseException:
            stream.cancel()
            raise
        if not isinstance(first, Refused):
            return stream, first
        failure = first.error
        if isinstance(failure, GuestGone) and not reached:
            reached = True
        elif not isinstance(failure, Unavailable):
            raise failure
    raise failure


def _lost(error: Exception) -> Exception:
    """What becomes of an answer that has begun."""
    return error if _is_fault(error) else GuestGone("the replica ended while it was answering")


def _is_fault(error: Exception) -> bool:
    """Whether it is one of this program's and not a replica's end."""
    return isinstance(error, RayTaskError)


def _first_line(error: Exception) -> str:
    return f"the replica ended before it answered: {str(error).strip().partition(chr(10))[0]}"
