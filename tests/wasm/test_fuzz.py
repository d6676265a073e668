"""Go's fuzzing of what clients and models send: a minute altogether."""

import subprocess
from pathlib import Path
from types import ModuleType

import pytest

EACH = 12  # seconds


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("package", "target"),
    [
        ("http1", "FuzzReadRequest"),
        ("server", "FuzzChatRequest"),
        ("answer", "FuzzText"),
        ("answer", "FuzzReaders"),
        ("options", "FuzzParse"),
    ],
)
def test_fuzz(hook: ModuleType, source: Path, package: str, target: str) -> None:
    native = {**hook.SETTINGS, "GOOS": "", "GOARCH": ""}
    command = [str(hook.go_command()), "test", f"./internal/{package}", "-run", "^$"]
    done = subprocess.run(
        [*command, "-fuzz", f"^{target}$", "-fuzztime", f"{EACH}s", "-parallel", "2"],
        cwd=source,
        env=hook.go_environment(**native),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
