"""Damaged pictures, projectors and vocoders: each is refused or used, none ends the process."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("kind", "variants", "refused", "used"),
    [("pictures", 600, 200, 200), ("projectors", 150, 75, 15), ("vocoders", 150, 75, 15)],
)
def test_no_damage_ends_the_process(
    tmp_path: Path, kind: str, variants: int, refused: int, used: int
) -> None:
    """More than ``refused`` of the variants are, and more than ``used`` are in spite of it."""
    command = [sys.executable, "-m", "tests.ggml.fuzz_media", kind, str(tmp_path), "0"]
    done = subprocess.run(
        [*command, str(variants)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr[-1000:])
    answers = Counter(line.split()[-1] for line in lines if not line.endswith("begin"))
    assert answers.total() == variants
    assert {*answers} <= {"SUCCESS", "INVALID_ARGUMENT", "RUNTIME_ERROR"}
    assert answers["INVALID_ARGUMENT"] > refused
    assert answers["SUCCESS"] > used
