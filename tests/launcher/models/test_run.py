"""`llamaedge run MODEL`: which files a name leads to."""

import re
from pathlib import Path

import pytest
from huggingface_hub import constants

from llamaedge_launcher.cli.plan import Plan

from ..planning import Planned, stopping_at_plans
from . import hub as fake
from .conftest import MODEL, REPO, Run
from .hub import Hub


@pytest.fixture
def planned(
    hub: Hub, run: Run, gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Planned:
    """The plan that a command line leads to, in a folder with a model and a guest."""
    tmp_path.joinpath("model.gguf").write_bytes(gguf)
    tmp_path.joinpath("llama-api-server.wasm").write_bytes(b"\0asm\1\0\0\0")
    monkeypatch.chdir(tmp_path)

    def plan_of(arguments: str) -> Plan:
        plans = stopping_at_plans(monkeypatch)
        assert run(f"run {arguments}") == 1
        return plans[0]

    return plan_of


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("model.gguf", "model"),
        ("./model.gguf", "model"),
        ("-m model.gguf", "model"),
        ("--model-name ./model.gguf", "model"),
        ("--model model.gguf", "model"),
        ("model.gguf -m llama", "llama"),
        ("-m default --nn-preload default:GGML:AUTO:model.gguf", "default"),
        ("-m model.gguf --nn-preload default:GGML:AUTO:model.gguf", "model.gguf"),
        ("--nn-preload default:GGML:AUTO:model.gguf", "default"),
    ],
)
def test_a_file_is_the_model(planned: Planned, hub: Hub, arguments: str, name: str) -> None:
    plan = planned(f"{arguments} -p chatml")
    assert [str(each.path) for each in plan.preloads] == ["model.gguf"]
    assert plan.model_name == name
    assert hub.asked == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (REPO, REPO),
        (f"{REPO}:Q4_K_M", f"{REPO}:Q4_K_M"),
        (f"hf:{REPO}:{MODEL}", f"{REPO}:{MODEL}"),
        (f"-hf {REPO}:q4_k_m", f"{REPO}:q4_k_m"),
        (f"-m {REPO}:Q4_K_M", f"{REPO}:Q4_K_M"),
        (f"URL/{REPO}/resolve/main/{MODEL}", f"{REPO}:{MODEL}"),
        (f"--nn-preload default:GGML:AUTO:hf:{REPO}:Q4_K_M", "default"),
        (f"--nn-preload default:GGML:AUTO:URL/{REPO}", "default"),
        (f"URL/plain/{MODEL}", "tiny-Q4_K_M"),
    ],
)
def test_a_name_leads_to_a_file(
    planned: Planned, hub: Hub, gguf: bytes, arguments: str, name: str
) -> None:
    line = f"{arguments.replace('URL', hub.url)} -p chatml"
    [preload] = planned(line).preloads
    assert preload.path.read_bytes() == gguf
    hub.asked.clear()
    again = planned(line)
    assert again.preloads == (preload,)
    assert again.model_name == name
    assert hub.asked == []


def test_what_is_here_serves_without_a_hub(
    planned: Planned, hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(f"pull {REPO}:Q4_K_M") == 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert planned(f"{REPO} -p chatml").preloads[0].path.name == MODEL


def test_of_several_that_are_here_the_last_is_served(
    planned: Planned, hub: Hub, run: Run, gguf: bytes
) -> None:
    hub.repos[REPO].files["tiny-Q8_0.gguf"] = gguf + bytes(64)
    for label in ("Q8_0", "Q4_K_M"):
        assert run(f"pull {REPO}:{label}") == 0
    hub.asked.clear()
    assert planned(f"{REPO} -p chatml").preloads[0].path.name == MODEL
    assert hub.asked == []


def test_part_of_a_split_model_is_not_taken_for_whole(
    planned: Planned, hub: Hub, run: Run, gguf: bytes
) -> None:
    names = [f"big-Q8_0-{number:05}-of-00002.gguf" for number in (1, 2)]
    hub.repos[REPO].files = dict.fromkeys(names, gguf) | {names[1]: gguf + bytes(64)}
    hub.faults = [lambda *_: None] + [fake.cut(0)] * 3
    assert run(f"pull {REPO}") == 1
    hub.asked.clear()
    path = planned(f"{REPO} -p chatml").preloads[0].path
    assert len(list(path.parent.glob("*.gguf"))) == 2
    assert hub.ranges() == ["0"]


def test_a_projector_is_given_to_the_server(planned: Planned, hub: Hub, eye: bytes) -> None:
    hub.repos[REPO].files["mmproj-F16.gguf"] = eye
    for model in (REPO, f"--nn-preload default:GGML:AUTO:hf:{REPO}"):
        plan = planned(f"{model} -p chatml")
        beside = plan.preloads[0].path.with_name("mmproj-F16.gguf")
        assert f"--llava-mmproj={beside}" in plan.units[0].arguments


def test_the_model_comes_before_further_ones(planned: Planned) -> None:
    plan = planned(f"{REPO} --nn-preload embedding:GGML:AUTO:model.gguf -p chatml,embedding")
    assert [each.name for each in plan.preloads] == ["default", "embedding"]
    assert plan.preloads[1].path == Path("model.gguf")


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ("", []),
        ("-c 512 --temp=0.5", ["--ctx-size=512", "--temp=0.5"]),
        ("-c512 --log-all", ["--ctx-size=512", "--log-all"]),
        ("--model-path x.gguf --quick", ["--model-path", "x.gguf", "--quick"]),
        ("--qdrant-url=http://a -c 512 tell me", ["--ctx-size=512", "--qdrant-url=http://a"]),
        ("--dir data", ["--dir", "data"]),
    ],
)
def test_a_line_of_wasmedges_is_understood(
    planned: Planned, arguments: str, passed: list[str]
) -> None:
    plan = planned(
        "--dir .:. --env A=b --nn-preload default:GGML:AUTO:model.gguf llama-api-server.wasm"
        f" --prompt-template chatml --port 0 {arguments}"
    )
    assert plan.guest == Path("llama-api-server.wasm")
    assert (plan.dirs, plan.environment, plan.addresses[0].port) == ((".:.",), {"A": "b"}, 0)
    assert set(passed) <= {*plan.units[0].arguments, *plan.others}
    assert "--prompt-template=chatml" in plan.units[0].arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("none.gguf", "model 'default': cannot read none.gguf: No such file"),
        ("-m none.gguf", "model 'default': cannot read none.gguf: No such file"),
        ("acme/none", "has no repository acme/none"),
        ("model.gguf --model other.gguf", "model.gguf and other.gguf are two models; name one"),
        ("model.gguf more.gguf", "unexpected extra argument.*more.gguf"),
        ("--guest a.wasm b.wasm", "--guest and b.wasm are two servers; name one"),
        ("none.wasm -p chatml", "--guest: cannot read none.wasm: No such file"),
        (f"{REPO} --llava-mmproj none.gguf", "--llava-mmproj: cannot read none.gguf"),
        ("--nn-preload default:GGML:AUTO:hf:acme", "cannot read hf:acme: No such file"),
    ],
)
def test_a_mistake_is_one_line(
    hub: Hub, run: Run, gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: str, said: str,
) -> None:  # fmt: skip
    tmp_path.joinpath("model.gguf").write_bytes(gguf)
    monkeypatch.chdir(tmp_path)
    assert run(f"run {arguments}") in (1, 2)
    captured = capsys.readouterr()
    assert re.fullmatch(f"error: .*{said}.*\n", captured.err), captured.err
    assert captured.out == ""
    assert not any("GET /storage" in line for line in hub.asked)
