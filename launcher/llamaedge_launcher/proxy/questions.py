"""What endpoints ask of a model's worker itself, past its guests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..asking import AskedWrongly, NotAnswered, Unsupported
from ..fleet.looks import Looks
from ..fleet.managed import Managed, Shown
from ..fleet.recipe import Kind, Model, Wanted
from .errors import ApiError
from .forward import refusing


def unsupported(message: str) -> ApiError:
    """llama.cpp's answer where the server was not started for what is asked."""
    return ApiError(501, message, code="not_supported")


class Questions:
    """Asks the workers of ``fleet``."""

    def __init__(self, fleet: Managed) -> None:
        self._fleet = fleet

    async def ask(
        self,
        model: str | None,
        about: str,
        given: Mapping[str, Any],
        *,
        kind: Kind | None = None,
        computes: bool = False,
    ) -> Any:
        """What the worker of ``model``, loaded if need be, answers. Raises ApiError."""
        with _answering():
            return await self._fleet.ask(Wanted(model, kind), about, given, computes=computes)

    async def properties(self, model: str | None) -> tuple[Shown, Mapping[str, Any]]:
        """Who serves ``model``, and what its worker tells of it, or told before it was unloaded.

        Raises ApiError.
        """
        with _answering():
            return await self._fleet.properties(Wanted(model))

    async def looks(self, model: Model) -> Looks:
        """What the files of a model say that the fleet shows."""
        (found,) = await self._fleet.looks([model])
        return found


@contextmanager
def _answering() -> Iterator[None]:
    with refusing():
        try:
            yield
        except AskedWrongly as error:
            raise ApiError(400, str(error), code="invalid_value") from error
        except Unsupported as error:
            raise unsupported(str(error)) from error
        except NotAnswered as error:
            raise ApiError(500, str(error)) from error
