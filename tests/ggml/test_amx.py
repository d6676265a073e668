"""llama.cpp's kernels for AMX are tried before they are used."""

import logging
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import gguf
import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine import costs
from llamaedge_host.ggml.llama import amx, openmp
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.nn import Target

from ..models import sized

AMX = b"CPU : AVX512 = 1 | AMX_INT8 = 1 | "


@pytest.fixture(autouse=True)
def _untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amx, "works", amx.works.__wrapped__)


def test_this_build_computes_with_what_it_has() -> None:
    assert amx.works()
    assert amx.main(*amx._libraries()) is None


@pytest.mark.parametrize(
    ("has", "kind", "works", "expected"),
    [
        (AMX, gguf.GGMLQuantizationType.Q8_0, True, costs.AMX),
        (AMX, gguf.GGMLQuantizationType.F16, True, costs.AMX),
        (AMX, gguf.GGMLQuantizationType.F32, True, costs.CPU),
        (AMX, gguf.GGMLQuantizationType.Q8_0, False, costs.CPU),
        (b"CPU : AVX512 = 1 | ", gguf.GGMLQuantizationType.Q8_0, True, costs.CPU),
    ],
)
def test_drafts_cost_less_where_weights_are_computed_with_amx(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has: bytes,
    kind: gguf.GGMLQuantizationType,
    works: bool,
    expected: costs.Costs,
) -> None:
    path = sized.llama(tmp_path / "model.gguf", width=128, layers=1, feed=256, kind=kind)
    monkeypatch.setattr(amx, "works", lambda: works)
    with closing(GgmlBackend().load(path, Target.CPU, "{}")) as graph:
        monkeypatch.setattr(llama, "llama_print_system_info", lambda: has)
        assert costs.costs(graph.model) is expected


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("raise SystemExit('12 of 1024 sums are wrong')", "12 of 1024 sums are wrong"),
        ("raise SystemExit(3)", "status 3"),
        ("import time; time.sleep(60)", "it took 1 s"),
    ],
)
def test_kernels_that_fail_are_not_used_and_told_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    program: str,
    why: str,
) -> None:
    trial = tmp_path / "trial.py"
    trial.write_text(program)
    monkeypatch.setattr(amx, "__file__", str(trial))
    monkeypatch.setattr(amx, "SECONDS", 1.0)
    monkeypatch.setattr(llama, "llama_print_system_info", lambda: AMX)
    with caplog.at_level(logging.WARNING):
        assert not amx.works()
    (line,) = caplog.messages
    assert f"does not work here ({why})" in line


def test_no_process_is_started_where_nothing_is_for_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(llama, "llama_print_system_info", lambda: b"CPU : AVX512 = 1 | ")
    monkeypatch.setattr(subprocess, "run", run)
    assert amx.works()


def test_a_library_that_has_everything_is_tried_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        openmp, "mapped", lambda name: {"libllama": ["/a/libllama.so"]}.get(name, [])
    )
    assert amx._libraries() == ["/a/libllama.so"]


def test_where_no_process_can_be_started_kernels_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama, "llama_print_system_info", lambda: AMX)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert amx.works()
