"""Random metadata, all of it valid by its type: nothing that llama.cpp makes of it is a crash."""

import os
import subprocess
import sys
from pathlib import Path

import gguf

from ..models import tiny

SEEDS = 600


def quantisable(path: Path) -> Path:
    """A llama with half the heads, twice as wide: its cache can be quantised."""
    reader = gguf.GGUFReader(tiny.llama(path), "r+")
    for name, number in (
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("rope.dimension_count", 32),
    ):
        reader.fields[f"llama.{name}"].parts[-1][0] = number
    reader.data.flush()
    return path


def test_no_metadata_ends_the_process(
    tiny_llama: Path,
    tiny_gemma: Path,
    tiny_mamba: Path,
    tiny_bert: Path,
    tiny_reranker: Path,
    tmp_path: Path,
) -> None:
    models = [tiny_llama, quantisable(tmp_path / "wide.gguf"), tiny_gemma, tiny_mamba]
    models += [tiny_bert, tiny_reranker]
    stress = Path(__file__).with_name("stress.py")
    done = subprocess.run(
        [sys.executable, str(stress), "0", str(SEEDS), *map(str, models)],
        capture_output=True,
        text=True,
        timeout=170,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr[-1000:])
    answers = [line.split()[2:] for line in lines if not line.endswith("begin")]
    assert len(answers) == SEEDS
    assert sum(answer.count("SUCCESS") > 2 for answer in answers) > SEEDS // 5
