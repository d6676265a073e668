"""Options from a file: ``--config FILE.toml`` reads one, ``--print-config`` writes one.

Everything follows from click's table of the command's parameters. Keys are the options' long names
without their dashes, and the arguments' names.
"""

import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Any

import click
from click.core import ParameterSource

from llamaedge_host.paths import expanded

from .options import ServerClickOption
from .values import Assignment, Secret

_CONFIG, _PRINT = "config", "print_config"
_MODEL, _NAMED = "model", "named"
_ALTERNATIVES = ((_MODEL, _NAMED), ("socket_addr", "port"), ("socket_addr", "host"))
"""Parameters of which one is given: the command line's leaves no room for the file's."""

_TEXTS = (click.types.StringParamType, click.Choice, click.Path, click.File)
_NUMBERS = {"whole": int, "number": int | float}
_SECRET = re.compile("key|token|secret|passw|credential", re.IGNORECASE)
_WHOLE = re.compile("0|-?[1-9][0-9]{0,17}")
_WIDTH = 98
_HEADING = (
    "Options of llamaedge run, for: llamaedge run --config FILE.toml",
    "The command line goes before this file. Paths are as on the command line: relative ones"
    " begin where llamaedge is started. A line that begins with # is not in force.",
)

Values = dict[str, Any]
"""What was given, by click's names of the parameters, before it is converted."""


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the two options."""
    for option in (
        click.option(
            "--print-config",
            is_flag=True,
            expose_value=False,
            help="Write what is in force as such a file, without keys, and exit",
        ),
        click.option(
            "--config",
            expose_value=False,
            metavar="FILE.toml",
            help="A file with any of these options; the command line goes before it",
        ),
    ):
        command = option(command)
    return command


class ConfiguredCommand(click.Command):
    """A command whose options may also come from a file."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """click's call. Raises click.UsageError for what is wrong with the file too."""
        typed, _, _ = self.make_parser(context).parse_args(list(args))
        given = {name: value for name, value in typed.items() if not _is_unset(value)}
        path = given.get(_CONFIG)
        context.default_map = (
            {} if path is None else _without_others(read(self, context, path), given)
        )
        try:
            rest = super().parse_args(context, args)
        except click.BadParameter as error:
            name = error.param.name if error.param else None
            if name and context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP:
                raise click.UsageError(f"{path}: {error.format_message()}", context) from error
            raise
        if given.get(_PRINT):
            in_force = {**context.default_map, **given}
            in_force.setdefault(_MODEL, given.get(_NAMED))
            click.echo(written(self, context, in_force), nl=False)
            context.exit()
        return rest


def parameters(command: click.Command) -> dict[str, click.Parameter]:
    """The parameters that a file may hold, by their keys."""
    return {
        _key(param): param
        for param in command.params
        if param.name not in (_CONFIG, _PRINT) and not getattr(param, "hidden", False)
    }


def read(command: click.Command, context: click.Context, path: str) -> Values:
    """The options in the file ``path``. Raises click.UsageError, with the file and the key."""

    def fault(message: str) -> click.UsageError:
        return click.UsageError(message, context)

    try:
        found = tomllib.loads(expanded(path).read_bytes().decode())
    except OSError as error:
        raise fault(f"--config: cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise fault(f"--config: {path} is not TOML: {error}") from error
    known = parameters(command)
    values = {}
    for key, value in found.items():
        if key not in known:
            raise fault(f"{path}: there is no option {key!r}{_nearest(key, known)}")
        try:
            values[str(known[key].name)] = _value(known[key], value)
        except ValueError as error:
            raise fault(f"{path}: {key} = {_shown(known[key], value)}: {error}") from error
    return values


def command_line(command: click.Command, given: Mapping[str, Any]) -> list[str]:
    """The words that tell ``command`` what ``given`` says by the keys of such a file.

    Raises ValueError, with the key.
    """
    known = parameters(command)
    words: list[str] = []
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"there is no option {key!r}{_nearest(key, known)}")
        try:
            words += _words(known[key], key, _value(known[key], value))
        except ValueError as error:
            raise ValueError(f"{key} = {_shown(known[key], value)}: {error}") from error
    return words


def _words(param: click.Parameter, key: str, value: Any) -> list[str]:
    if getattr(param, "is_flag", False):
        return [f"--{key}"] if value else []
    return [f"--{key}={each}" for each in (value if isinstance(value, list) else [value])]


def written(command: click.Command, context: click.Context, given: Values) -> str:
    """A file of all options: those in force, and as comments those that are not."""
    groups: dict[bool, list[click.Parameter]] = {False: [], True: []}
    for param in parameters(command).values():
        groups[isinstance(param, ServerClickOption)].append(param)
    lines = [line for text in _HEADING for line in _comment(text)]
    for title, params in zip(("Options", "Server options"), groups.values(), strict=True):
        lines += ["", f"## {title}"]
        for param in params:
            value = given.get(str(param.name), param.get_default(context))
            lines += ["", *_entry(param, None if _is_unset(value) else value)]
    if context.obj:
        own = " ".join(context.obj)
        lines += ["", *_comment(f"The server's own options stay on the command line: {own}")]
    return "\n".join(lines) + "\n"


def _entry(param: click.Parameter, value: Any) -> Iterator[str]:
    yield from _comment(
        getattr(param, "help", None) or "The model to serve, as after llamaedge run"
    )
    key = _key(param)
    if isinstance(param.type, Secret):
        given = [each for each in (value if isinstance(value, list | tuple) else [value]) if each]
        if any(map(param.type.is_secret, given)) or (not given and _is_inherited(key)):
            yield "# (one is in force, which is not written)"
            value = None
    elif isinstance(param.type, Assignment) and value:
        yield from (f"# ({name} is in force, which is not written)" for name in _secrets(value))
        value = [each for each in value if _name(each) not in _secrets(value)]
    if value is None or value in ([], ()):
        yield f"# {_line(key, _example(param))}"
    else:
        yield _line(key, _plain(param, value))


def _example(param: click.Parameter) -> Any:
    if getattr(param, "is_flag", False):
        return True
    if isinstance(param, ServerClickOption) and param.server_option.default:
        return _plain(param, param.server_option.default)
    choices = getattr(param.type, "choices", ())
    text = choices[0] if choices else (param.metavar or str(param.name).upper()).split("|")[0]
    return [text] if _is_list(param) else text


def _plain(param: click.Parameter, value: Any) -> Any:
    """``value`` as TOML has it: a number where the option takes one."""
    if isinstance(value, list | tuple):
        return [_plain(param, each) for each in value]
    if isinstance(value, str) and _takes_numbers(param) and _WHOLE.fullmatch(value):
        return int(value)
    return value


def _value(param: click.Parameter, value: Any) -> Any:
    """``value`` as click takes it from the command line. Raises ValueError for a wrong type."""
    if getattr(param, "is_flag", False):
        if not isinstance(value, bool):
            raise ValueError("it is a switch: true or false")
        return value
    if _is_list(param):
        if not isinstance(value, list):
            raise ValueError("it is a list, as in [...]")
        return [_text(param, each) for each in value]
    if isinstance(value, list) and _is_series(param):
        return ",".join(_text(param, each) for each in value)
    return _text(param, value)


def _text(param: click.Parameter, value: Any) -> str:
    numbers = _takes_numbers(param)
    if isinstance(value, str) or (
        numbers and isinstance(value, int | float) and not isinstance(value, bool)
    ):
        return str(value)
    raise ValueError("it is a number or text" if numbers else 'it is text, as in "..."')


def _takes_numbers(param: click.Parameter) -> bool:
    if isinstance(param, ServerClickOption):
        return param.server_option.kind in _NUMBERS
    return not isinstance(param.type, _TEXTS)


def _is_list(param: click.Parameter) -> bool:
    return param.multiple or param.nargs != 1


def _is_series(param: click.Parameter) -> bool:
    return isinstance(param, ServerClickOption) and param.server_option.count != 1


def _is_inherited(key: str) -> bool:
    """Whether the environment has the value of a secret option."""
    name = key.replace("-", "_").upper()
    return any(os.environ.get(each) for each in (name, f"LLAMAEDGE_{name}"))


def _secrets(assignments: list[str]) -> list[str]:
    return [_name(each) for each in assignments if _SECRET.search(_name(each))]


def _name(assignment: str) -> str:
    return assignment.partition("=")[0]


def _key(param: click.Parameter) -> str:
    if isinstance(param, click.Argument):
        return str(param.name)
    return next(each for each in param.opts if each.startswith("--")).removeprefix("--")


def _without_others(values: Values, given: Mapping[str, Any]) -> Values:
    """``values`` without those to which ``given`` has an alternative."""
    gone = {name for names in _ALTERNATIVES if not given.keys().isdisjoint(names) for name in names}
    return {name: value for name, value in values.items() if name not in gone}


def _is_unset(value: Any) -> bool:
    """Whether it is None or what click has in the place of an argument that was not given."""
    return value is None or isinstance(value, Enum)


def _nearest(key: str, known: Mapping[str, click.Parameter]) -> str:
    near = get_close_matches(key.replace("_", "-").lstrip("-").lower(), known, n=1)
    return f"; is it {near[0]}?" if near else "; llamaedge run --print-config lists them"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), _WIDTH - 2)]


def _line(key: str, value: Any) -> str:
    """``key = value`` in one line."""
    import tomli_w

    if isinstance(value, list | tuple):
        inner = ", ".join(_line("x", each).removeprefix("x = ") for each in value)
        return f"{key} = [{inner}]"
    return tomli_w.dumps({key: value}).strip()


def _shown(param: click.Parameter, value: Any) -> str:
    if isinstance(param.type, Secret):
        return "***"
    return "{...}" if isinstance(value, dict) else _line("x", value).removeprefix("x = ")
