"""`llamaedge list`, `show`, `rm` and `search`, on what a hub gave."""

import os
import pty
import re
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from llamaedge_launcher.cli import tables

from . import hub as fake
from .conftest import MODEL, REPO, Run
from .hub import Hub, Repo

Output = pytest.CaptureFixture[str]
OTHER = "acme/other-GGUF"


@pytest.fixture
def two(hub: Hub, run: Run, gguf: bytes, eye: bytes, capsys: Output) -> Hub:
    """Two repositories are here: one with two models, one with a model that sees."""
    hub.repos[REPO].files["tiny-Q8_0.gguf"] = gguf + bytes(64)
    hub.repos[OTHER] = Repo({"other-Q4_0.gguf": gguf, "mmproj-F16.gguf": eye}, gated=False)
    for name in (f"{REPO}:Q4_K_M", f"{REPO}:Q8_0", OTHER):
        assert run(f"pull {name}") == 0
    capsys.readouterr()
    return hub


def listed(run: Run, out: Output) -> list[str]:
    assert run("list") == 0
    return [line.split("\t")[0] for line in out.readouterr().out.splitlines()]


def test_what_is_here_is_listed(two: Hub, run: Run, gguf: bytes, capsys: Output) -> None:
    assert run("list") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [f"{OTHER}:Q4_0", f"{REPO}:Q4_K_M", f"{REPO}:Q8_0"]
    assert rows[1][1] == str(len(gguf))
    assert Path(rows[1][2]).read_bytes() == gguf


def test_nothing_is_listed_where_nothing_is(hub: Hub, run: Run, capsys: Output) -> None:
    assert listed(run, capsys) == []


def test_a_url_is_listed_by_itself(hub: Hub, run: Run, capsys: Output) -> None:
    url = f"{hub.url}/plain/{MODEL}"
    assert run(f"pull {url}") == 0
    capsys.readouterr()
    assert listed(run, capsys) == [url]
    assert run(f"rm {url}") == 0
    capsys.readouterr()
    assert listed(run, capsys) == []


def test_one_of_two_models_goes(two: Hub, run: Run, capsys: Output) -> None:
    assert run(f"rm {REPO}:q8_0") == 0
    assert re.fullmatch(
        f"deleted {REPO}:Q8_0: 40[0-9] kB are free again\n", capsys.readouterr().out
    )
    assert listed(run, capsys) == [f"{OTHER}:Q4_0", f"{REPO}:Q4_K_M"]
    two.asked.clear()
    assert run(f"pull {REPO}:Q4_K_M") == 0
    assert two.ranges() == []


def test_the_projector_goes_with_the_last_model(two: Hub, run: Run, capsys: Output) -> None:
    assert run(f"rm {OTHER}") == 0
    capsys.readouterr()
    assert listed(run, capsys) == [f"{REPO}:Q4_K_M", f"{REPO}:Q8_0"]
    assert not Path(constants.HF_HUB_CACHE, "models--acme--other-GGUF").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (f"rm {REPO}", 1, f"{REPO} is one of {REPO}:Q8_0, {REPO}:Q4_K_M; name one"),
        (f"rm {REPO}:Q2_K", 1, f"{REPO}:Q2_K is not here; llamaedge list shows what is"),
        (f"rm {OTHER} acme/none", 1, "acme/none is not here"),
        ("rm", 2, "name a model, as llamaedge list does"),
        ("show none.gguf", 1, "none.gguf is not here"),
        ("search", 2, "Missing argument 'WORD...'"),
        ("search zebra", 1, "nothing with GGUF files is found for zebra"),
    ],
)
def test_a_mistake_is_one_line(
    two: Hub, run: Run, capsys: Output, arguments: str, code: int, said: str
) -> None:
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert re.fullmatch(f"error: {re.escape(said)}.*\n", captured.err), captured.err
    assert captured.out == ""
    assert len(listed(run, capsys)) == 3


def test_what_came_in_part_can_be_deleted(hub: Hub, run: Run, capsys: Output) -> None:
    url = f"{hub.url}/plain/{MODEL}"
    for name in (REPO, url):
        hub.faults = [fake.cut(6000)] + [fake.cut(0)] * 3
        assert run(f"pull {name}") == 1
    capsys.readouterr()
    assert run("rm --partial") == 0
    assert "12 kB are free again" in capsys.readouterr().out
    hub.faults = []
    hub.asked.clear()
    for name in (REPO, url):
        assert run(f"pull {name}") == 0
    assert f"GET /plain/{MODEL} 0" in hub.asked
    assert f"GET /plain/{MODEL} 6000" not in hub.asked
    assert hub.ranges() == ["0"]


def test_a_model_is_described(two: Hub, run: Run, capsys: Output, tmp_path: Path) -> None:
    assert run(f"show {OTHER}") == 0
    facts = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    assert facts["name"] == f"{OTHER}:Q4_0"
    assert (facts["architecture"], facts["quantization"], facts["layers"]) == ("llama", "Q4_0", "2")
    assert facts["context"] == "512 tokens"
    assert facts["projector"].endswith("mmproj-F16.gguf")
    assert facts["chat template"] == "none"
    assert int(facts["parameters"].replace(",", "")) > 10_000
    assert run(f"show {facts['files']}") == 0
    assert capsys.readouterr().out.startswith(f"name\t{facts['files']}\n")


def test_repositories_are_found(two: Hub, run: Run, capsys: Output) -> None:
    two.repos[OTHER].gated = True
    assert run("search ACME") == 0
    assert capsys.readouterr().out == f"{REPO}\t1,200\t3\t\n{OTHER}\t2,400\t3\tgated\n"


def test_offline_nothing_is_searched(
    hub: Hub, run: Run, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert run("search tiny") == 1
    assert capsys.readouterr().err == "error: HF_HUB_OFFLINE forbids to search; unset it\n"
    assert hub.asked == []


@pytest.mark.parametrize(("variable", "bold"), [("NO_COLOR", False), ("IGNORED", True)])
def test_a_terminal_gets_a_table(variable: str, bold: bool) -> None:
    code = (
        f"from {tables.__name__} import print_table;"
        "print_table(('model', 'size'), [('a[b]', '1 GB')], numbers=('size',))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        environment = os.environ | {"TERM": "xterm-256color", variable: "1"}
        os.execve(sys.executable, [sys.executable, "-c", code], environment)
    shown = b""
    while chunk := _read(terminal):
        shown += chunk
    assert os.waitpid(pid, 0)[1] == 0, shown
    assert b"a[b]" in shown
    assert "───".encode() in shown
    assert (b"\x1b[1m" in shown) == bold


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""
