"""What the machine computes with."""

import re
import sys

import pytest

from llamaedge_launcher import machine


def test_llama_cpp_tells_its_devices() -> None:
    found = machine.look()
    assert found.problem == ""
    assert "llama.cpp" in found.build
    assert "CPU" in {device.kind for device in found.devices}
    assert 0 < found.available <= found.total
    assert found.cpus >= 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.abort()", "llama.cpp ended its process by SIGABRT"),
        ("raise OSError('libcuda.so.1 is missing')", "cannot be loaded: .*libcuda.so.1 is missing"),
    ],
)
def test_a_driver_that_breaks_is_said(
    monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(machine, "COMMAND", (sys.executable, "-c", code))
    found = machine.look()
    assert (found.devices, found.gpus) == ((), ())
    assert re.search(said, found.problem)
