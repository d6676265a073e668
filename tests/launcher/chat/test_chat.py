"""`llamaedge chat`: what it sends, shows and forgets."""

import io
import os
import pty
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from llamaedge_launcher import cli
from llamaedge_launcher.chat.client import Client, Piece
from llamaedge_launcher.chat.conversation import Conversation
from llamaedge_launcher.chat.page import Page, finished
from llamaedge_launcher.chat.terminal import Chat
from llamaedge_launcher.errors import LauncherError

from .api import Api, running

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
Talk = Callable[..., str]


@pytest.fixture
def api() -> Iterator[Api]:
    with running() as api:
        yield api


@pytest.fixture
def talk(api: Api, capsys: pytest.CaptureFixture[str]) -> Talk:
    """Types lines into one chat; answers what the screen shows."""
    conversation = Conversation()

    def type_lines(*lines: str) -> str:
        typed = iter(lines)

        def read(_: str) -> str:
            line = next(typed, None)
            if line is None:
                raise EOFError
            return line

        with Client(api.url) as client:
            screen = io.StringIO()
            console = Console(file=screen, width=60)
            Chat(client, conversation, console, {"model": "tiny"}).run(read)
        return screen.getvalue() + capsys.readouterr().out

    return type_lines


def sent(api: Api) -> list[tuple[str, object]]:
    """Roles and contents of the last request."""
    return [(each["role"], each["content"]) for each in api.asked[-1]["messages"]]


def test_what_was_said_goes_with_the_next_question(api: Api, talk: Talk) -> None:
    api.says("Hel", "lo.")
    assert "Hello." in talk("hi", "again")
    assert sent(api) == [("user", "hi"), ("assistant", "Hello."), ("user", "again")]
    assert api.asked[-1]["model"] == "tiny"
    assert api.asked[-1]["stream"] is True


def test_a_line_can_go_on_in_the_next(api: Api, talk: Talk) -> None:
    talk("one\\", "two\\", "three")
    assert sent(api) == [("user", "one\ntwo\nthree")]


def test_empty_lines_ask_nothing(api: Api, talk: Talk) -> None:
    talk("", "  ", "/bye", "never")
    assert api.asked == []


def test_the_model_can_be_told_who_it_is_and_forget(api: Api, talk: Talk) -> None:
    api.says("aye")
    talk("/system You are a pirate.", "hi", "/clear", "who are you?")
    assert sent(api) == [("system", "You are a pirate."), ("user", "who are you?")]
    talk("/system", "/clear", "hi")
    assert sent(api) == [("user", "hi")]


def test_files_go_with_one_question(api: Api, talk: Talk, tmp_path: Path) -> None:
    tmp_path.joinpath("cat.png").write_bytes(PNG)
    tmp_path.joinpath("notes.txt").write_text("Buy milk.")
    api.says("ok")
    shown = talk(f"/attach {tmp_path}/cat.png", f"/attach {tmp_path}/notes.txt", "what?", "and?")
    assert "cat.png, a picture of 28 bytes" in shown
    assert "notes.txt, 9 characters" in shown
    first, _, last = [content for _, content in sent(api)]
    assert isinstance(first, list)
    assert first[0] == {"type": "text", "text": "notes.txt:\n```\nBuy milk.\n```\n\nwhat?"}
    assert first[1]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert last == "and?"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/attach nowhere.png", "cannot read nowhere.png: No such file"),
        ("/attach data.bin", "data.bin is neither a picture nor text in UTF-8"),
        ("/frobnicate", "there is no /frobnicate; /help lists what there is"),
        ("/help", "/attach PATH"),
    ],
)
def test_commands_answer(
    api: Api, talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("data.bin").write_bytes(b"\xff\xfe\0")
    assert said in talk(line)
    assert api.asked == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ((400, {"error": {"message": "the context is full"}}), "the context is full"),
        ((503, "out of order"), "out of order"),
        ((500, ""), "the server answers 500"),
    ],
)
def test_a_refused_question_is_taken_back(
    api: Api, talk: Talk, error: tuple[int, object], said: str
) -> None:
    api.error = error
    assert said in talk("too long")
    api.error = None
    api.says("ok")
    talk("short")
    assert sent(api) == [("user", "short")]


def test_an_error_in_the_stream_is_shown(api: Api, talk: Talk) -> None:
    api.deltas = [{"content": "Be"}, {"error": {"message": "it broke"}}]  # type: ignore[dict-item]
    assert "it broke" in talk("hi")
    api.says("ok")
    talk("again")
    assert sent(api) == [("user", "hi"), ("assistant", "Be"), ("user", "again")]


def run(api: Api, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """One question by a pipe."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is it?\n"))
    return cli.execute(["chat", "--url", api.url, *arguments])


def test_a_pipe_is_one_question(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.deltas = [{"reasoning_content": "Hm."}, {"content": "**A** "}, {"content": "cat"}]
    assert run(api, monkeypatch, "--system", "Be brief.") == 0
    assert capsys.readouterr() == ("**A** cat\n", "")
    assert sent(api) == [("system", "Be brief."), ("user", "What is it?")]


def test_the_key_is_the_environments(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.key = "secret"
    api.says("ok")
    monkeypatch.delenv("API_KEY", raising=False)
    assert run(api, monkeypatch) == 1
    assert capsys.readouterr().err == f"error: {api.url}: the key is missing\n"
    monkeypatch.setenv("API_KEY", "secret")
    assert run(api, monkeypatch) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--url", "http://127.0.0.1:1/v1"], 1, "http://127.0.0.1:1/v1 cannot be reached"),
        (["--url", "nonsense"], 1, "nonsense cannot be reached"),
        (["-c", "512", "model.gguf"], 2, "name the MODEL before its options, such as -c"),
        (["model.gguf", "--url", "http://a"], 2, "--url and MODEL exclude each other"),
        (["none.gguf"], 1, "cannot read none.gguf: No such file"),
        (["none.gguf", "--nonsense"], 2, "no such option --nonsense"),
    ],
)
def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi"))
    assert cli.execute(["chat", *arguments]) == code
    captured = capsys.readouterr()
    assert re.match(f"error: .*{said}", captured.err), captured.err
    assert captured.out == ""


def test_a_server_without_a_model_is_said(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.names = []
    assert run(api, monkeypatch) == 1
    assert capsys.readouterr().err == f"error: {api.url} serves no model\n"


MARKDOWN = "# Title\n\nSome *text*.\n\n```python\na = 1\n\nb = 2\n```\n\n- one\n- two\n\nThe end."


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("", ""),
        ("one line", ""),
        ("one\ntwo\n", ""),
        ("one\n\n", "one\n\n"),
        ("one\n\ntwo", "one\n\n"),
        ("```\ncode\n\nmore", ""),
        ("```\ncode\n```\n\n", "```\ncode\n```\n\n"),
        ("a\n\n~~~\n```\n\n", "a\n\n"),
        ("one\n  \n", "one\n  \n"),
    ],
)
def test_blocks_are_finished_by_an_empty_line_outside_of_code(text: str, done: str) -> None:
    assert text[: finished(text)] == done


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20), max_size=40))
def test_an_answer_looks_the_same_however_it_is_cut(cuts: list[int]) -> None:
    pieces, rest = [], MARKDOWN
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]

    def shown(*texts: str) -> str:
        screen = io.StringIO()
        with Page(Console(file=screen, width=60)) as page:
            for text in texts:
                page.add(Piece(text))
        return re.sub(r"\s+", " ", screen.getvalue())

    assert shown(*pieces, rest) == shown(MARKDOWN)


class Terminal:
    """`llamaedge chat` on a terminal."""

    def __init__(self, *arguments: str, state: Path) -> None:
        code = "import sys; from llamaedge_launcher import cli; sys.exit(cli.execute(sys.argv[1:]))"
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            environment = os.environ | {"TERM": "xterm", "XDG_STATE_HOME": str(state)}
            os.execve(sys.executable, [sys.executable, "-c", code, "chat", *arguments], environment)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, pattern: str) -> None:
        deadline = time.monotonic() + 60
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def end(self) -> int:
        """Its exit code, once it has closed the terminal."""
        deadline = time.monotonic() + 60
        while self._read():
            assert time.monotonic() < deadline, self.shown
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        """Whether it still has the terminal."""
        if select.select([self._end], [], [], 0.1)[0]:
            try:
                self.shown += os.read(self._end, 65536).decode(errors="replace")
            except OSError:
                return False
        return True


def test_a_chat_on_a_terminal(api: Api, tmp_path: Path) -> None:
    api.deltas = [{"content": "It is **bold** and"}, None]
    terminal = Terminal("--url", api.url, state=tmp_path)
    terminal.wait_for("tiny at .*/help lists")
    terminal.type("what is it?\n")
    terminal.wait_for("\x1b\\[1mbold")
    terminal.type("\x03")
    terminal.wait_for("stopped[^>]*> ")
    assert api.left.wait(10)
    api.says("More.")
    terminal.type("more\n")
    terminal.wait_for(r"More\.[^>]*> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert sent(api)[1] == ("assistant", "It is **bold** and")
    assert "^C" not in terminal.shown
    history = tmp_path / "llamaedge" / "chat_history"
    assert history.read_text().splitlines()[-2:] == ["what is it?", "more"]
    assert history.stat().st_mode & 0o77 == 0


def test_a_client_reads_no_other_api(api: Api) -> None:
    api.names = []
    with (
        Client(api.url.removesuffix("/v1")) as client,
        pytest.raises(LauncherError, match="Not Found"),
    ):
        client.models()
