"""Each host function's docstring names its parameters, its errnos and where it is specified."""

from types import MethodType

import pytest
from guests import docstrings
from guests.signatures import PREVIEW1

from llamaedge_host import HostNetwork
from llamaedge_host.memory import Memory
from llamaedge_host.preview1.errnos import Errno
from llamaedge_host.wasi import Wasi

MODULE = "wasi_snapshot_preview1"


def host_functions() -> dict[str, MethodType]:
    wasi = Wasi(Memory(lambda: (0, 0)), lambda _name, _arguments: 0, HostNetwork())
    try:
        found = {
            f"{name}/{params}": wasi.resolve(MODULE, name, params, "i") for name, params in PREVIEW1
        }
    finally:
        wasi.close()
    return {name: each for name, each in found.items() if isinstance(each, MethodType)}


FUNCTIONS = host_functions()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_host_function_is_documented(name: str) -> None:
    docstrings.check(FUNCTIONS[name], Errno)


def test_most_functions_are_seen() -> None:
    assert len(FUNCTIONS) > 30
