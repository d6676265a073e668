"""How long llama.cpp's threads spin, as libgomp itself tells when it is loaded."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llamaedge_host.ggml.llama.openmp import SPINCOUNT, SPINS, WAIT_POLICY, WAITED, IdleTeam

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


UNTOLD = """
from pathlib import Path
from llamaedge_host.ggml.llama import openmp
openmp.WAITED = Path("/nowhere")
openmp.limit_spinning()
"""


@pytest.mark.skipif(not WAITED.exists(), reason="the system does not tell how long threads wait")
@pytest.mark.parametrize("program", FIRST)
def test_threads_spin_as_libgomp_comes_whatever_is_imported_first(program: str) -> None:
    assert spins(program) == spins("import llama_cpp")


@pytest.mark.parametrize("program", FIRST)
def test_threads_spin_a_little_where_nothing_tells_of_other_work(program: str) -> None:
    assert spins(UNTOLD + program) == SPINS


def test_what_the_user_set_is_respected() -> None:
    assert spins(FIRST[0], **{SPINCOUNT: "77"}) == "77"
    assert spins(FIRST[0], **{WAIT_POLICY: "passive"}) == "0"


def test_a_library_that_is_loaded_already_is_told_of() -> None:
    program = "import logging; logging.basicConfig(level=20); import llama_cpp" + UNTOLD
    asked = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", program], env=asked, capture_output=True, text=True, timeout=120
    )
    spins(FIRST[0])
    assert f"set {SPINCOUNT}={SPINS}" in done.stderr


SPUN = """
import ctypes, os, time
from pathlib import Path
from llamaedge_host.ggml.llama import library, openmp

def threads():
    return len(os.listdir("/proc/self/task"))

def spun():  # seconds of CPU that a team of two takes after its work, twenty times
    started = time.process_time()
    for _ in range(20):
        team._parallel(nothing, None, 2, 0)
        time.sleep(0.02)
    return time.process_time() - started

team = openmp.IdleTeam()
if not team.possible:
    raise SystemExit("no libgomp")
nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)
spun()
alone, long = threads(), spun()
team.come()
team.come()
assert threads() == alone + len(os.sched_getaffinity(0)) + 1, (threads(), alone)
short = spun()
team.go()
team.go()
until = time.monotonic() + 60
while threads() > alone and time.monotonic() < until:
    time.sleep(0.01)
again = spun()
print(short < min(long, again) / 3, long, short, again)
"""


def test_threads_sleep_soon_while_there_is_a_team_that_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPUN],
        env={name: value for name, value in os.environ.items() if "OMP_" not in name},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "no libgomp" in done.stderr:
        pytest.skip("this llama.cpp is built without libgomp")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True"), done.stdout


ENDED = """
import ctypes, os, time
from llamaedge_host.ggml.llama import library, openmp

def threads():
    return len(os.listdir("/proc/self/task"))

def fewer(count):  # a thread is there a little longer than whoever waits for it believes
    until = time.monotonic() + 60
    while threads() > count and time.monotonic() < until:
        time.sleep(0.01)
    return threads() <= count

team = openmp.IdleTeam()
if not team.possible:
    raise SystemExit("no libgomp")
openmp.end_team()
alone = threads()
nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)
for _ in range(2):
    team._parallel(nothing, None, 3, 0)
    assert threads() == alone + 2, (threads(), alone)
    openmp.end_team()
    assert fewer(alone), (threads(), alone)
"""


def test_a_team_ends_whose_thread_has_computed_what_it_had_to() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDED], capture_output=True, text=True, timeout=120
    )
    if "no libgomp" in done.stderr:
        pytest.skip("this llama.cpp is built without libgomp")
    assert done.returncode == 0, done.stderr


LOADED = """
import os, sys, time
from pathlib import Path
from llamaedge_host.ggml.llama import gguf
from llamaedge_host.ggml.llama.model import Model
from llamaedge_host.ggml.llama.model_parameters import ModelParameters

before, path = len(os.listdir("/proc/self/task")), Path(sys.argv[1])
model = Model(path, gguf.read(path), ModelParameters(0))
until = time.monotonic() + 60
while len(os.listdir("/proc/self/task")) > before and time.monotonic() < until:
    time.sleep(0.01)
print(before, len(os.listdir("/proc/self/task")))
"""


def test_no_team_is_left_of_loading_a_model(smollm2: Path) -> None:
    """Where weights are laid out for AMX, all threads of a team do that."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, smollm2], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after <= before


def test_who_chose_how_long_threads_spin_gets_no_such_team(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SPINCOUNT, "77")
    team, before = IdleTeam(), threading.active_count()
    assert not team.possible
    team.come()
    assert threading.active_count() == before
