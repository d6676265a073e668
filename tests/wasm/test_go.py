"""The guest's own tests, run natively with the project's Go toolchain."""

import subprocess
from pathlib import Path
from types import ModuleType

import pytest

WASIP1 = {"GOOS": "wasip1", "GOARCH": "wasm"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "settings"),
    [("vet", {}), ("vet", WASIP1), ("test", {})],
    ids=["vet", "vet-wasip1", "test"],
)
def test_go(hook: ModuleType, source: Path, command: str, settings: dict[str, str]) -> None:
    native = {**hook.SETTINGS, "GOOS": "", "GOARCH": ""}
    done = subprocess.run(
        [str(hook.go_command()), command, "./..."],
        cwd=source,
        env=hook.go_environment(**native | settings),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_go_is_formatted(hook: ModuleType, source: Path) -> None:
    gofmt = hook.go_command().with_stem("gofmt")
    done = subprocess.run([str(gofmt), "-l", "."], cwd=source, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
