"""What `llamaedge run` makes of a command line of llama.cpp's server."""

import re
from pathlib import Path

import pytest

from llamaedge_launcher.address import Address
from llamaedge_launcher.cli import llama_cpp
from llamaedge_launcher.cli.run import run

from .conftest import Planned
from .test_mistakes import refused

KNOWN = {name for param in run.params for name in param.opts}
BASE = "--prompt-template=chatml"


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ("-ngl 99 -c 4096 -t 2", ["--n-gpu-layers=99", "--ctx-size=4096", "--threads=2"]),
        ("-ngl all -tb 3", ["--n-gpu-layers=999", "--threads-batch=3"]),
        ("-ngl auto -t -1 -np -1", []),
        ("--gpu-layers=4 -ub 64 -b 128", "--n-gpu-layers=4 --ubatch-size=64 --batch-size=128"),
        ("--jinja -fa on -cb --metrics --embeddings", []),
        ("--flash-attn --no-warmup -s 5", ["--seed=5"]),
        ("--no-mmap --temperature 0", ["--no-mmap=true", "--temp=0"]),
        ("--temp 0 --no-mmap", ["--no-mmap=true", "--temp=0"]),
        ("-ctk q8_0 -ctv q8_0", ["--cache-type-k=q8_0", "--cache-type-v=q8_0"]),
        ("--mmproj eye.gguf", ["--llava-mmproj=eye.gguf"]),
        ("-md model.gguf --draft 8", ["--draft-model=draft", "--draft-max=8"]),
        ("--no-context-shift -rea off", ["--truncation=disabled", "--reasoning=off"]),
    ],
)
def test_what_has_another_name_here_is_obeyed(
    planned: Planned, arguments: str, passed: list[str] | str
) -> None:
    plan = planned(f"-m model.gguf {arguments} -p chatml")
    expected = passed.split() if isinstance(passed, str) else passed
    assert sorted(plan.units[0].arguments) == sorted([BASE, "--model-name=model", *expected])


def test_an_alias_is_the_models_name(planned: Planned) -> None:
    for arguments in (
        "-m model.gguf -a mine",
        "--model model.gguf --alias mine",
        "model.gguf -a mine",
    ):
        plan = planned(f"{arguments} -p chatml")
        assert [str(each.path) for each in plan.preloads] == ["model.gguf"]
        assert plan.model_name == "mine"


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ("--host 0.0.0.0 --port 81", Address("0.0.0.0", 81)),
        ("--host=::1", Address("::1", 8080)),
        ("--host [::1] --port 0", Address("::1", 0)),
        ("--port 81", Address("127.0.0.1", 81)),
    ],
)
def test_a_host_and_a_port_are_an_address(
    planned: Planned, arguments: str, address: Address
) -> None:
    assert planned(f"-m model.gguf -p chatml {arguments}").addresses[0] == address


def test_a_host_may_be_several(planned: Planned) -> None:
    plan = planned("-m model.gguf -p chatml --host 127.0.0.1,[::1] --port 81")
    assert plan.addresses == (Address("127.0.0.1", 81), Address("::1", 81))


def test_a_template_may_be_written_out(planned: Planned) -> None:
    plan = planned("-m model.gguf --chat-template {{messages}} -np 3")
    assert "--chat-template={{messages}}" in plan.units[0].arguments
    assert plan.parallel == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--top-k 5", "2 error: --top-k: each request says it, in 'top_k' .llamaedge run --help"),
        ("-hf org/repo -hff a.gguf", "2 error: -hff: the file's name stands after .*ORG/REPO:FILE"),
        ("-m model.gguf --mlock", "2 error: --mlock: memory is not locked; --no-mmap true"),
        ("-m model.gguf -fa off", "2 error: -fa: flash attention is used wherever"),
        ("-ngld 3", "2 error: -ngld of llama.cpp's server has no equal here"),
        ("--list-devices", "2 error: --list-devices: llamaedge doctor lists them"),
        ("-ngl many", "2 error: .*--n-gpu-layers.*'many' is not a whole number"),
        ("-ngl", "2 error: .*--n-gpu-layers.* requires an argument"),
    ],
)
def test_what_is_not_to_be_had_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    message: str,
) -> None:
    assert re.match(message, refused(f"run {arguments}", monkeypatch, capsys))


def test_what_follows_a_guest_and_what_is_a_value_stays() -> None:
    known = {"--env": True, "--dir": True}
    words = ["--env", "-hf", "--dir", "x", "guest.wasm", "-ngl", "3", "--jinja"]
    assert llama_cpp.translated(words, known) == words
    assert llama_cpp.translated(["--", "--jinja"], known) == ["--", "--jinja"]


def test_what_options_become_is_an_option() -> None:
    assert set(llama_cpp.RENAMED.values()) <= KNOWN
    assert {each.partition("=")[0] for each in llama_cpp.SWITCHES.values()} <= KNOWN


def test_no_option_of_this_program_is_taken_for_llama_cpps() -> None:
    tables = (
        llama_cpp.RENAMED, llama_cpp.SWITCHES, llama_cpp.SO_ANYWAY, llama_cpp.FIELDS,
        llama_cpp.INSTEAD, llama_cpp.NOT_HERE,
    )  # fmt: skip
    named = [name for table in tables for name in table]
    assert not KNOWN & {*named}
    assert len(named) == len({*named})


def test_what_is_told_names_options_that_there_are() -> None:
    for text in llama_cpp.INSTEAD.values():
        for name in re.findall(r"(?<!\S)--[a-z-]+", text):
            assert name in KNOWN


def test_fields_are_those_of_requests() -> None:
    told = Path(__file__).parents[3].joinpath("docs/fields.md").read_text()
    for field in llama_cpp.FIELDS.values():
        assert f"| `{field}`" in told
