"""Guests that call wasi-nn as they like, several at once: none ends the process or stays behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

CALLS = 1200  # of each guest


def test_guests_that_call_as_they_like_leave_nothing_behind(
    tiny_llama: Path, tiny_gemma: Path, tiny_mamba: Path, tiny_bert: Path
) -> None:
    storm = Path(__file__).with_name("storm.py")
    models = map(str, (tiny_llama, tiny_gemma, tiny_mamba, tiny_bert))
    done = subprocess.run(
        [sys.executable, str(storm), "1", str(CALLS), *models],
        capture_output=True,
        text=True,
        timeout=170,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["after"] == said["before"]
    assert said["engines"] == {}
    outcomes = said["outcomes"]
    for name in ("set_input", "compute", "compute_single", "get_output", "unload"):
        assert outcomes.get(name, 0) > 0, outcomes
    for errno in ("INVALID_ARGUMENT", "INVALID_ENCODING", "stopped"):
        assert outcomes.get(errno, 0) > 0, outcomes
