"""What a row more costs llama_decode, by kind of weight: a draft, or a sequence more.

A row's cost is what it takes beside the first one, in steps of one row. One thread computes, and
its CPU time is taken, which other work hardly changes; where there is a GPU, that computes, and
time is taken. The demo model, models of its size and of a larger width, all with random weights
but for the first.
"""

import ctypes
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import gguf
from report import Report
from server import model_file

from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.ggml.llama.memory import gpu_count

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.models import sized

ROWS = (1, 2, 3, 4, 8, 12, 16, 32)
BEFORE = 200  # tokens in the cache
TURNS = 5
GPU = gpu_count() > 0
SMALL = {"width": 576, "layers": 30, "feed": 1536, "vocabulary": 49152}
WIDE = {"width": 2048, "layers": 10, "feed": 5632, "vocabulary": 32000}
KINDS = gguf.GGMLQuantizationType
MODELS = {
    "135M, Q4_0": SMALL | {"kind": KINDS.Q4_0},
    "135M, Q8_0": SMALL | {"kind": KINDS.Q8_0},
    "135M, F16": SMALL | {"kind": KINDS.F16},
    "0.6B of width 2,048, Q4_0": WIDE | {"kind": KINDS.Q4_0},
    "0.6B of width 2,048, Q8_0": WIDE | {"kind": KINDS.Q8_0},
}
if GPU:
    LARGE = {"width": 4096, "layers": 32, "feed": 11008, "vocabulary": 32000}
    MODELS |= {"7B, Q4_0": LARGE | {"kind": KINDS.Q4_0}}


class _Model:
    def __init__(self, path: Path) -> None:
        self.model = llama.llama_model_load_from_file(
            str(path).encode(), llama.llama_model_default_params()
        )
        asked = llama.llama_context_default_params()
        asked.n_ctx, asked.n_threads, asked.n_threads_batch = 512, 1, 1
        self.context = llama.llama_init_from_model(self.model, asked)
        self.memory: ctypes.c_void_p = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(512, 0, 1)

    def decode(self, begin: int, rows: int) -> float:
        """Compute so many rows after ``begin`` tokens; seconds of the CPU."""
        llama.llama_memory_seq_rm(self.memory, 0, begin, -1)
        for row in range(rows):
            self.batch.token[row], self.batch.pos[row] = 10 + row % 200, begin + row
            self.batch.n_seq_id[row], self.batch.seq_id[row][0] = 1, 0
            self.batch.logits[row] = True
        self.batch.n_tokens = rows
        clock = time.perf_counter if GPU else time.thread_time
        started = clock()
        assert llama.llama_decode(self.context, self.batch) == 0
        llama.llama_synchronize(self.context)
        return clock() - started

    def close(self) -> None:
        llama.llama_batch_free(self.batch)
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)


def measure(report: Report, rounds: int) -> None:
    _measure(report, rounds, "SmolLM2-135M, Q4_1", model_file())
    with tempfile.TemporaryDirectory() as folder:
        for name, sizes in MODELS.items():
            path = sized.llama(Path(folder) / "model.gguf", **sizes)  # type: ignore[arg-type]
            _measure(report, rounds, name, path)
            path.unlink()


def _measure(report: Report, rounds: int, name: str, path: Path) -> None:
    model = _Model(path)
    model.decode(0, BEFORE)
    for _ in range(rounds):
        taken = {rows: median(model.decode(BEFORE, rows) for _ in range(TURNS)) for rows in ROWS}
        report.add(f"{name}: a step of one row", 1e3 * taken[1], "ms")
        for rows in ROWS[1:]:
            cost = (taken[rows] / taken[1] - 1) / (rows - 1)
            report.add(f"{name}: a row more, of {rows}", cost, "steps")
    model.close()
