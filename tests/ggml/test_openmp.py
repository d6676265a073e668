"""How long llama.cpp's threads spin, as libgomp itself tells when it is loaded."""

import os
import re
import subprocess
import sys

import pytest

from llamaedge_host.ggml.llama.openmp import SPINCOUNT, SPINS, WAIT_POLICY

FIRST = [
    "import llamaedge_host.ggml.llama.library",
    "import llamaedge_host.ggml.media.pictures",
    "import llamaedge_launcher.worker; from llamaedge_host.ggml import GgmlBackend",
    "import llamaedge_launcher.cli.wasmedge; from llamaedge_host.ggml import GgmlBackend",
]


def spins(program: str, **environment: str) -> str:
    """The rounds that libgomp says it spins in a process that runs ``program``."""
    asked = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=asked | {"OMP_DISPLAY_ENV": "verbose"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(rf"{SPINCOUNT} = '(\d+)'", done.stderr)
    if found is None:
        pytest.skip("this llama.cpp is built without libgomp")
    return found[1]


@pytest.mark.parametrize("program", FIRST)
def test_threads_spin_a_little_whatever_is_imported_first(program: str) -> None:
    assert spins(program) == SPINS


def test_what_the_user_set_is_respected() -> None:
    assert spins(FIRST[0], **{SPINCOUNT: "77"}) == "77"
    assert spins(FIRST[0], **{WAIT_POLICY: "passive"}) == "0"


def test_a_library_that_is_loaded_already_is_told_of() -> None:
    program = "import logging; logging.basicConfig(level=20); import llama_cpp, llamaedge_host.ggml"
    asked = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", program], env=asked, capture_output=True, text=True, timeout=120
    )
    spins(FIRST[0])
    assert f"set {SPINCOUNT}={SPINS}" in done.stderr
