"""The command ``llamaedge chat``."""

import os
import sys
from contextlib import ExitStack

import click

from ..address import Address
from ..errors import LauncherError
from ..models.reference import parse
from ..models.resolve import resolve
from ..variables import API_KEY
from .console import stderr, stdout
from .naming import fetch


@click.command(
    short_help="Chat with a model in the terminal.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("model", required=False)
@click.argument("options", metavar="[RUN_OPTION]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--url", metavar="URL", help="The API of a server that runs, with its /v1")
@click.option("--system", metavar="TEXT", help="What the model is told first")
def chat(model: str | None, options: tuple[str, ...], url: str | None, system: str | None) -> int:
    """Chat with MODEL, or with the server that runs already.

    MODEL and the options after it are those of llamaedge run: a server is started for this chat.
    Without MODEL and --url it is the server at http://127.0.0.1:8080, or else the demo model.
    API_KEY names the server's key. What comes by a pipe is one question, and only the answer goes
    to stdout.
    """
    if model is not None and model.startswith("-"):
        raise click.UsageError(f"name the MODEL before its options, such as {model}")
    if model is not None and url is not None:
        raise click.UsageError("--url and MODEL exclude each other")
    from ..chat.client import Client
    from ..chat.conversation import Conversation
    from ..chat.keyboard import remember_lines
    from ..chat.terminal import Chat

    with ExitStack() as stack:
        key = os.environ.get(API_KEY, "")
        place = url or _running(model, key) or _start(model, options, stack)
        client = stack.enter_context(Client(place, key=key))
        names = client.models()
        if not names:
            raise LauncherError(f"{place} serves no model")
        console = stdout()
        talk = Chat(client, Conversation(system), console, {"model": names[0]})
        if not sys.stdin.isatty():
            talk.ask(sys.stdin.read().strip())
            return 0
        remember_lines()
        console.print(f"{names[0]} at {client.base_url}; /help lists what there is", style="dim")
        talk.run(input)
    return 0


def _running(model: str | None, key: str) -> str | None:
    """The API of the server at the usual address, if no model is named and it answers."""
    if model is not None:
        return None
    from ..chat.client import Client

    place = f"http://{Address()}/v1"
    try:
        with Client(place, key=key) as client:
            client.models()
    except LauncherError:
        return None
    return place


def _start(model: str | None, options: tuple[str, ...], stack: ExitStack) -> str:
    """The API of a server for this chat; its model is fetched first, as the terminal shows."""
    from ..server import Server

    if model is not None:
        resolve(parse(model), fetch)
    with stderr().status("the model is being loaded"):
        return stack.enter_context(Server(model, *options)).base_url
