"""The models of this machine that no deployment serves yet."""

from collections.abc import Sequence
from typing import Protocol

from .recipe import Model, Recipe


class Local(Protocol):
    """Knows the models that are here, and how they are served. Its methods block."""

    def may_have(self, name: str) -> bool:
        """Whether ``name`` is of such a form that a model here may be called so; at once."""

    def find(self, name: str) -> Recipe | None:
        """What serves the model of this machine that is called ``name``, if there is one.

        Raises LauncherError if it cannot be served.
        """

    def refreshed(self, recipe: Recipe) -> Recipe:
        """``recipe`` with its models' files as they are now. Raises LauncherError."""

    def models(self) -> Sequence[Model]:
        """All that are here whole."""

    def needed(self, recipe: Recipe) -> int:
        """Bytes of memory that ``recipe`` is going to take."""

    def free(self) -> int:
        """Bytes of memory that models may take now."""


class Nothing:
    """A Local without models, where everything fits."""

    def may_have(self, name: str) -> bool:
        """As Local's."""
        return False

    def find(self, name: str) -> Recipe | None:
        """As Local's."""
        return None

    def refreshed(self, recipe: Recipe) -> Recipe:
        """As Local's."""
        return recipe

    def models(self) -> Sequence[Model]:
        """As Local's."""
        return ()

    def needed(self, recipe: Recipe) -> int:
        """As Local's."""
        return 0

    def free(self) -> int:
        """As Local's."""
        return 0
