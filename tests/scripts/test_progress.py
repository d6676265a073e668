"""What scripts/install shows while it waits."""

import io
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

PROGRESS = Path(__file__).parents[2] / "scripts" / "progress.py"
SAID = (
    "Collecting llama-cpp-python==0.3.36 (from llamaedge-host==0.1.0)\n",
    "  Downloading llama_cpp_python-0.3.36.tar.gz (60 MB)\n",
    "  Building wheel for llama-cpp-python (pyproject.toml): started\n",
    "  [0/1] Re-running CMake...\n",
    "  [1/118] /usr/bin/c++ -DGGML_BUILD -c ggml.cpp\n",
    "  [118/118] : && /usr/bin/c++ -shared -o libmtmd.so\n",
    "Installing collected packages: llama-cpp-python\n",
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def progress() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(PROGRESS)))


def test_a_terminal_has_a_line_that_moves(progress: SimpleNamespace) -> None:
    out, log = Terminal(), io.StringIO()
    last = progress.follow(SAID, log, progress.Progress(out))
    assert log.getvalue() == "".join(SAID) == "".join(last)
    assert "\n" not in out.getvalue()
    assert [each for each in out.getvalue().split("\r\x1b[K") if each] == [
        "Collecting llama-cpp-python==0.3.36",
        "Building wheel for llama-cpp-python",
        "llama.cpp: 1 of 118 compiled",
        "llama.cpp: 118 of 118 compiled",
        "Installing collected packages",
    ]


def test_without_a_terminal_it_is_a_line_now_and_then(
    progress: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 29.0, 31.0, 40.0, 62.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    out = io.StringIO()
    progress.follow(SAID, io.StringIO(), progress.Progress(out))
    assert out.getvalue().splitlines() == [
        "llama.cpp: 1 of 118 compiled",
        "Installing collected packages",
    ]


def run(log: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRESS), str(log), sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_failure_shows_the_end_of_what_was_said(tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    done = run(log, "print(*range(100), sep='\\n'); raise SystemExit('no compiler')")
    assert done.returncode == 1
    *shown, last = done.stderr.splitlines()
    assert shown == [*map(str, range(71, 100)), "no compiler"]
    assert last == f"error: it failed with exit code 1; all of it: {log}"
    assert log.read_text().startswith("0\n1\n")


def test_what_succeeds_is_quiet(tmp_path: Path) -> None:
    done = run(tmp_path / "install.log", "print('all is well')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_ctrl_c_ends_both_in_one_line(tmp_path: Path) -> None:
    log, pid = tmp_path / "install.log", tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    command = [sys.executable, str(PROGRESS), str(log), sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "stopped; the same command begins again")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_bytes_of_no_encoding_stop_nothing_in_any_locale(tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    code = "import sys; sys.stdout.buffer.write(b'caf\\xe9 \\xe2\\x80\\x98')"
    command = [sys.executable, "-X", "utf8=0", str(PROGRESS), str(log), sys.executable, "-c", code]
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert log.read_bytes() == "caf\ufffd \u2018".encode()
