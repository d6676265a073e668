"""What the docstring of a host function must say."""

import inspect
import re
from collections.abc import Callable, Collection
from enum import IntEnum


def check(function: Callable[..., object], errnos: type[IntEnum]) -> None:
    """Assert that it names ``function``'s parameters, its errnos and where it is specified."""
    text = inspect.getdoc(function) or ""
    head, _, rest = text.partition("\n\nParameters:\n")
    parameters, _, result = rest.partition("\n\nResult:")
    assert head.startswith("``"), text
    assert re.findall(r"^    (\w+): ", parameters, re.M) == list(
        inspect.signature(function).parameters
    )
    told = re.findall(r"^    ([A-Z_, ]+): ", result, re.M)
    known: Collection[str] = errnos.__members__
    assert all(each in known for line in told for each in line.split(", ")), told
    assert told or "as " in result
    assert re.search(r"\bSee (https://|WasmEdge's )", result)
