"""`llamaedge run --config` and `--print-config`: every option, from a file and into one."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from llamaedge_launcher import cli
from llamaedge_launcher.cli import config
from llamaedge_launcher.cli.options import ServerClickOption
from llamaedge_launcher.cli.run import run

PARAMETERS = config.parameters(run)
TEXT = "a 'b' \"c\" \\ #=[] \u00fc\u2028"
SAMPLES = {
    "ListenAddresses": "[::1]:81,127.0.0.1:82",
    "SocketAddresses": "10.0.0.2:50052,gpu-2:50052",
    "Whole": "3",
    "Size": "5M",
    "Assignment": "NAME=some = text",
    "Key": "k-1",
    "KeyFile": "keys.txt",
    "Proxies": "127.0.0.1,10.0.0.0/8",
    "ImageHosts": "example.org,127.0.0.1:8000",
    "Root": "/llm",
    "StoreUrl": "postgresql://ada@db.example.org:5433/llm",
    "LoraFile": "/models/a.gguf:0.5",
    "Origin": "https://example.com",
    "StringParamType": TEXT,
    "IntRange": "3",
    "IntParamType": "3",
    "FloatRange": "1.5",
    "FloatParamType": "1.5",
    "Path": TEXT,
}
"""What an option of each type may be given; one of a new type needs a line here."""
KINDS = {"whole": "1", "number": "0.5", "name": "some name", "text": TEXT}


def is_flag(param: click.Parameter) -> bool:
    return bool(getattr(param, "is_flag", False))


def sample(param: click.Parameter) -> str:
    if is_flag(param):
        return ""
    if isinstance(param, ServerClickOption):
        option = param.server_option
        return option.allowed[-1] if option.kind == "choice" else KINDS[option.kind]
    if isinstance(param.type, click.Choice):
        return str(param.type.choices[-1])
    return SAMPLES[type(param.type).__name__]


def typed(param: click.Parameter, text: str) -> list[str]:
    """The parameter on the command line."""
    if isinstance(param, click.Argument):
        return ["--", text]
    if is_flag(param):
        return [param.opts[-1]]
    return [param.opts[-1], text] * (2 if param.multiple else 1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("API_KEY", raising=False)
    tmp_path.joinpath("keys.txt").write_text("k-2\n")
    return tmp_path


def params(*words: str) -> dict[str, Any]:
    return run.make_context("run", list(words)).params


Printed = Callable[..., str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    def printed(*words: str) -> str:
        assert cli.execute(["run", "--print-config", *words]) == 0
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize("key", PARAMETERS)
def test_every_option_goes_from_the_command_line_to_a_file_and_back(
    key: str, printed: Printed, folder: Path
) -> None:
    param = PARAMETERS[key]
    words = typed(param, sample(param))
    text = printed(*words)
    folder.joinpath("it.toml").write_text(text, "utf-8")
    if key == "api-key":
        assert "k-1" not in text
        return
    assert key in tomllib.loads(text)
    assert params("--config", "it.toml") == params(*words) != params()
    assert printed("--config", "it.toml") == text


@pytest.mark.parametrize("key", PARAMETERS)
def test_the_command_line_goes_before_the_file(key: str, folder: Path) -> None:
    param = PARAMETERS[key]
    if is_flag(param):
        other: Any = False
    else:
        other = sample(param)
        other = {"3": 2, "5M": "6M", "1": 0, "0.5": 0.25}.get(other, other)
        other = [other] if param.multiple or param.nargs != 1 else other
    folder.joinpath("it.toml").write_text(config._line(key, other) + "\n", "utf-8")
    words = typed(param, sample(param))
    assert params("--config", "it.toml", *words) == params(*words)


def test_every_option_is_in_what_is_printed(printed: Printed) -> None:
    lines = printed().splitlines()
    text = " ".join(line.removeprefix("# ") for line in lines)
    for key, param in PARAMETERS.items():
        assert any(line.removeprefix("# ").startswith(f"{key} = ") for line in lines), key
        assert (getattr(param, "help", None) or "The model").split("  ")[0] in text


def test_what_is_printed_without_options_changes_nothing(printed: Printed, folder: Path) -> None:
    folder.joinpath("it.toml").write_text(printed(), "utf-8")
    assert params("--config", "it.toml") == params()


def test_no_key_is_printed(printed: Printed, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hidden-1")
    folder.joinpath("it.toml").write_text('api-key = ["hidden-2"]\nenv = ["A_TOKEN=hidden-3"]\n')
    env = ("--env", "API_KEY=hidden-4", "--env", "PLAIN=yes")
    store = ("--store-records", "postgresql://ada:hidden-6@db/llm")
    for words in ((), ("--config", "it.toml"), ("--api-key", "hidden-5"), env, store):
        text = printed(*words)
        assert "hidden" not in text
        assert "(one is in force, which is not written)" in text
    assert 'env = ["PLAIN=yes"]' in printed(*env)
    monkeypatch.delenv("API_KEY")
    monkeypatch.setenv("LLAMAEDGE_STORE_FILES", "ftp://ada:hidden-7@files/llm")
    assert "hidden" not in printed()
    assert "(one is in force, which is not written)" in printed()
    assert "(one is in force" not in printed("--store-files", "s3://files/llm")


@pytest.mark.parametrize(
    ("file", "words", "expected"),
    [
        ("port = 81", ("--socket-addr", "[::1]:82"), {"port": None}),
        ('socket-addr = "[::1]:82"', ("--port", "81"), {"socket_addr": None, "port": 81}),
        ('model = "a.gguf"', ("--model", "b.gguf"), {"model": None, "named": "b.gguf"}),
        ('model = "a.gguf"', ("b.gguf",), {"model": "b.gguf"}),
        ('dir = ["a", "b"]', ("--dir", "c"), {"dirs": ("c",)}),
        ('guest = "a.wasm"', ("b.wasm", "-c", "5"), {"guest": "b.wasm", "ctx_size": "5"}),
        ("ctx-size = [512, 128]", (), {"ctx_size": "512,128"}),
        ("temp = 0.5", (), {"temp": "0.5"}),
        ("strict-model = false", (), {"strict_model": False}),
    ],
)
def test_file_and_command_line_together(
    file: str, words: tuple[str, ...], expected: dict[str, Any], folder: Path
) -> None:
    folder.joinpath("it.toml").write_text(file)
    found = params("--config", "it.toml", *words)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("prot = 1", "it.toml: there is no option 'prot'; is it port?"),
        ("ctx_size = 1", "it.toml: there is no option 'ctx_size'; is it ctx-size?"),
        ("zzz = 1", "there is no option 'zzz'; llamaedge run --print-config lists them"),
        ("[port]\na = 1", "it.toml: port = {...}: it is a number"),
        ("[server]\nport = 1", "there is no option 'server'"),
        ("parent-fd = 1", "there is no option 'parent-fd'"),
        ('config = "it.toml"', "there is no option 'config'"),
        ("port = true", "it.toml: port = true: it is a number or text"),
        ('port = "many"', "it.toml: Invalid value for '--port': 'many' is not a whole number"),
        ("port = 1.5", "it.toml: Invalid value for '--port': '1.5' is not a whole number"),
        ("port = [1]", "it.toml: port = [1]: it is a number or text"),
        ("guest = 5", 'it.toml: guest = 5: it is text, as in "..."'),
        ('dir = "a"', 'it.toml: dir = "a": it is a list, as in [...]'),
        ("dir = [1]", "it.toml: dir = [1]: it is text"),
        ('strict-model = "yes"', 'strict-model = "yes": it is a switch: true or false'),
        ("temp = -1", "it.toml: Invalid value for '--temp': '-1' must be"),
        ('log-level = "loud"', "it.toml: Invalid value for '--log-level': 'loud' is not one of"),
        ('port = 1\nsocket-addr = "[::1]:1"', "--socket-addr and --port exclude each other"),
        ("port = ", "--config: it.toml is not TOML: Invalid value (at "),
        ("port = 1\nport = 2", "--config: it.toml is not TOML: Cannot overwrite a value"),
    ],
)
def test_a_file_with_a_fault_is_one_line(
    file: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.joinpath("it.toml").write_text(file)
    assert cli.execute(["run", "--config", "it.toml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.toml", "--config: cannot read none.toml: No such file or directory"),
        (".", "--config: cannot read .: Is a directory"),
        ("latin.toml", "--config: latin.toml is not TOML: 'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_is_none_is_one_line(
    name: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.joinpath("latin.toml").write_bytes(b'guest = "\xfc"')
    assert cli.execute(["run", "--config", name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_printed_model_is_the_one_that_another_programs_option_names(printed: Printed) -> None:
    assert 'model = "org/repo"' in printed("-hf", "org/repo").splitlines()


def test_what_only_the_guest_knows_is_told_of(printed: Printed) -> None:
    text = printed("guest.wasm", "--qdrant-url", "http://127.0.0.1:6333")
    assert 'guest = "guest.wasm"' in text
    assert text.endswith(
        "# The server's own options stay on the command line: --qdrant-url http://127.0.0.1:6333\n"
    )


def test_printing_starts_nothing(printed: Printed) -> None:
    before = set(sys.modules)
    assert 'model = "missing.gguf"' in printed("missing.gguf")
    assert not {"uvicorn", "wasmtime"} & (set(sys.modules) - before)
