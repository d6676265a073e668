"""What `llamaedge run` shows at its start, and which page it serves."""

import errno
import io
import queue
import re
from pathlib import Path

import click
import pytest

from llamaedge_launcher.address import Address
from llamaedge_launcher.cli.public import give_page
from llamaedge_launcher.cli.run import run
from llamaedge_launcher.cli.screen import Screen
from llamaedge_launcher.settings import PAGE, Settings

from .conftest import GOOD, Planned


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
