"""The public API is what public_api.txt says: a change of it is one on purpose."""

import difflib
import inspect
import re
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import llamaedge_host
import llamaedge_launcher

GOLDEN = Path(__file__).with_name("public_api.txt")
HOW = (
    f"Is it meant? Then put the new lines into {GOLDEN.name}, and name the change in CHANGELOG.md."
)


def test_the_public_api_is_as_it_was() -> None:
    now = [line for module in (llamaedge_host, llamaedge_launcher) for line in told(module)]
    before = GOLDEN.read_text().splitlines()
    change = "\n".join(difflib.unified_diff(before, now, "before", "now", lineterm="", n=0))
    assert not change, f"{change}\n{HOW}"


def test_a_change_is_seen() -> None:
    module = types.ModuleType("thing")
    source = (
        "class Thing:\n    x: int\n    def f(self, *, y: {}) -> str: ...\n__all__ = ['Thing']\n"
    )
    exec(source.format("int"), vars(module))
    before = list(told(module))
    assert before == ["thing.Thing()", "thing.Thing.f(self, *, y: int) -> str"]
    exec(source.format("float"), vars(module))
    assert list(told(module)) != before


def told(module: types.ModuleType) -> Iterator[str]:
    """The public names of ``module`` with their signatures, a line each."""
    for name in sorted(module.__all__):
        thing = getattr(module, name)
        full = f"{module.__name__}.{name}"
        if inspect.isclass(thing) and issubclass(thing, Enum):
            yield f"{full}: {', '.join(f'{each.name}={each.value!r}' for each in thing)}"
        elif inspect.isclass(thing):
            bases = [each.__name__ for each in thing.__bases__ if each is not object]
            yield f"{full}{_signature(thing)}{' < ' + ', '.join(bases) if bases else ''}"
            yield from _members(full, thing)
        elif callable(thing):
            yield f"{full}{_signature(thing)}"
        else:
            yield f"{full}: {type(thing).__name__}"


def _members(full: str, owner: type) -> Iterator[str]:
    for name, each in sorted(vars(owner).items()):
        if name.startswith("_"):
            continue
        plain = getattr(each, "__func__", each)
        if inspect.isfunction(plain):
            yield f"{full}.{name}{_signature(plain)}"
        elif isinstance(each, property) and each.fget is not None:
            yield f"{full}.{name}: {_hint(inspect.signature(each.fget).return_annotation)}"


def _signature(thing: object) -> str:
    """As Python writes it, but types by their names alone, wherever they are defined."""
    try:
        signature = inspect.signature(thing)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return ""
    parameters = [
        each.replace(annotation=_Text(_hint(each.annotation)))
        if each.annotation is not each.empty
        else each
        for each in signature.parameters.values()
    ]
    returns = signature.return_annotation
    shown = signature.empty if returns is signature.empty else _Text(_hint(returns))
    text = str(signature.replace(parameters=parameters, return_annotation=shown))
    return re.sub(r"<(\S+) object at 0x\w+>", r"<\1>", text)


class _Text:
    """Is written as it is, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _hint(hint: object) -> str:
    if isinstance(hint, str):
        return hint
    if inspect.isclass(hint) and not hasattr(hint, "__args__"):
        return hint.__qualname__
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(hint))
