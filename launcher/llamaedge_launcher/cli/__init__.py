"""The command ``llamaedge``."""

import logging
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from .. import log, rlimit
from ..errors import LauncherError
from ..importing import uncollected
from .encoding import take_any_text

_log = logging.getLogger(__name__)

COMMANDS = {
    "run": ".run:run",
    "pull": ".pull:pull",
    "list": ".inventory:list_models",
    "show": ".inventory:show",
    "rm": ".inventory:rm",
    "search": ".inventory:search",
    "chat": ".chat:chat",
    "guests": ".guests:guests",
    "doctor": ".doctor:doctor",
    "rpc-worker": ".rpc_worker:rpc_worker",
}
"""The subcommands: their modules, and what they are there."""

_MEANT = {
    "serve": "run", "start": "run", "server": "run", "download": "pull", "get": "pull",
    "ls": "list", "models": "list", "ps": "list", "info": "show", "inspect": "show",
    "remove": "rm", "delete": "rm", "del": "rm", "find": "search",
    "check": "doctor", "diagnose": "doctor", "env": "doctor",
}  # fmt: skip
"""What other programs call a subcommand."""


class _Commands(click.Group):
    """Imports a subcommand when it is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The subcommands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The subcommand ``name``, or None if there is none."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        with uncollected():
            found: click.Command = getattr(import_module(module, __package__), attribute)
        return found

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """click's call: an unknown command is told which one is meant."""
        name = args[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            context.fail(f"no such command {name!r}{_hint(name)}")
        return super().resolve_command(context, args)


def _hint(name: str) -> str:
    if name.endswith(".gguf") or "/" in name:
        return f"; is it llamaedge run {name}?"
    near = _MEANT.get(name) or next(iter(get_close_matches(name, COMMANDS, n=1)), None)
    return f"; is it llamaedge {near}?" if near else ""


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    None, "-V", "--version", package_name="llamaedge-host", message="llamaedge %(version)s"
)
def llamaedge() -> None:
    """Serve large language models with an API like OpenAI's, by LlamaEdge's own servers.

    \b
    llamaedge run model.gguf             a file
    llamaedge run ORG/REPO:Q4_K_M        a model on Hugging Face, fetched if it is not here
    llamaedge run                        the demo model, if it is installed
    """


def main() -> None:
    """The console script: errors are one line, exit code 2 for wrong usage and 1 otherwise."""
    rlimit.raise_limit()
    take_any_text()
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: list[str]) -> int:
    """Run the command line ``arguments``; the exit code."""
    try:
        code: Any = llamaedge.main(arguments, prog_name="llamaedge", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "llamaedge"
        text = _nearest(error) or error.format_message().rstrip(".")
        click.echo(f"error: {text} ({command} --help lists the options)", err=True)
        return 2
    except LauncherError as error:
        _report(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _report(LauncherError(f"{place}{error.strerror or error}"))
        return 1
    return code or 0


def _report(error: LauncherError) -> None:
    """The last word: a line for people, or of a log that is JSON."""
    if log.is_json():
        _log.error("%s", error)
    else:
        click.echo(f"error: {error}", err=True)


def _nearest(error: click.UsageError) -> str | None:
    """What to say of an unknown option: the one it is most like."""
    if not isinstance(error, click.NoSuchOption):
        return None
    known = {name for each in error.ctx.command.params for name in each.opts} if error.ctx else ()
    near = get_close_matches(error.option_name, known, n=1)
    return f"no such option {error.option_name}" + (f"; is it {near[0]}?" if near else "")
