"""What the package offers by name is all that a program needs to run a guest."""

import inspect
import typing
from collections.abc import Callable, Iterator
from importlib.metadata import version

import llamaedge_host
import llamaedge_launcher

PUBLIC = {name: getattr(llamaedge_host, name) for name in llamaedge_host.__all__}
CLASSES = [each for each in PUBLIC.values() if inspect.isclass(each)]
METHODS = [each for name, each in vars(llamaedge_host.Guest).items() if not name.startswith("_")]


def test_what_a_program_makes_and_calls_takes_public_types() -> None:
    functions = [*(each.__init__ for each in CLASSES), *filter(callable, METHODS)]
    used = {one for each in functions for one in _own_types(each)}
    assert llamaedge_host.Network in used
    missing = {f"{one.__module__}.{one.__name__}" for one in used if one not in PUBLIC.values()}
    assert missing == set()


def test_the_version_is_the_distributions() -> None:
    assert llamaedge_host.__version__ == version("llamaedge-host")
    assert llamaedge_launcher.__version__ == version("llamaedge-host")


def _own_types(function: Callable[..., object]) -> Iterator[type]:
    for hint in typing.get_type_hints(function).values():
        yield from _own(hint)


def _own(hint: object) -> Iterator[type]:
    """The package's own types in a type."""
    for inner in typing.get_args(hint):
        yield from _own(inner)
    for inner in hint if isinstance(hint, list) else ():
        yield from _own(inner)
    if inspect.isclass(hint) and hint.__module__.startswith("llamaedge_host"):
        yield hint
