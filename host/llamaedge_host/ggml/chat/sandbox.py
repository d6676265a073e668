"""Renders chat templates in a process of its own: one JSON request a line, one answer a line.

A template is a stranger's program. jinja2's sandbox keeps it away from the interpreter; how long
it runs and what memory it takes only an operating system can bound, since one expression
(``'a' * 10**9``, ``10**10**9``) can use up either. Run as a script, see ``renderer``.

Source: the environment is the one in transformers' utils/chat_template_utils.py.
"""

import json
import math
import signal
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

try:
    import resource
except ImportError:  # only the parent's clock bounds it here
    resource = None  # type: ignore[assignment]

CPU_SECONDS = 2
"""That one rendering may compute."""
MEMORY = 512 << 20
"""Bytes of address space of the whole process."""
MOST_CHARACTERS = 16 << 20
"""Of one prompt."""


class _Generation(Extension):
    """``{% generation %}`` marks what an assistant said, for training; here it is its body."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's attribute)

    def parse(self, parser: Parser) -> nodes.Node:
        """A node that writes the body up to the end tag."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> Any:
        return caller()


class _TooLong(Exception):
    """A prompt has more than MOST_CHARACTERS."""


class Raised(TemplateError):
    """A template called raise_exception."""


def _raise(message: object = "") -> NoReturn:
    raise Raised(str(message))


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _now(layout: str) -> str:
    return datetime.now().strftime(layout)


class _Namespace(Namespace):
    """jinja2's, without names that begin as the interpreter's own do."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, values = args[0], dict(*args[1:], **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace of a chat template has no {name!r}")


class _Dict:
    """``dict`` as a function, without its attributes."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def environment() -> ImmutableSandboxedEnvironment:
    """jinja2's sandbox as chat templates are written for it."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, LoopControlExtension]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = _now
    made.globals["namespace"] = _Namespace
    made.globals["dict"] = _Dict()
    return made


_ENVIRONMENT = environment()


@lru_cache(maxsize=8)
def _compiled(source: str) -> Template:
    return _ENVIRONMENT.from_string(source)


def _join(pieces: Iterable[str]) -> str:
    whole: list[str] = []
    room = MOST_CHARACTERS
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise _TooLong
        whole.append(piece)
    return "".join(whole)


def answer(request: dict[str, Any]) -> dict[str, str]:
    """``text`` for ``source`` with ``values``, or why there is none.

    ``refused`` is what the template says of its values, ``failed`` an error that they led to,
    ``broken`` a template that cannot be used with any.
    """
    try:
        template = _compiled(request["source"])
    except TemplateSyntaxError as error:
        return {"broken": f"line {error.lineno}: {error.message}"}
    except (TemplateError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"broken": _named(error)}
    try:
        return {"text": _join(template.generate(request["values"]))}
    except Raised as error:
        return {"refused": error.message or ""}
    except _TooLong:
        return {"failed": f"it made more than {MOST_CHARACTERS} characters"}
    except MemoryError:
        return {"failed": f"it took more than {MEMORY >> 20} MiB of memory"}
    except RecursionError:
        return {"failed": "it calls itself too deeply"}
    except Exception as error:
        return {"failed": _named(error)}


def _named(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _bound() -> None:
    for kind, most in (("AS", MEMORY), ("FSIZE", 0), ("CORE", 0)):
        number = getattr(resource, f"RLIMIT_{kind}", None)
        if number is not None:
            resource.setrlimit(number, (most, most))


def _start_clock() -> None:
    """From here on the process ends when it has computed for CPU_SECONDS."""
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        seconds = math.ceil(time.process_time()) + CPU_SECONDS
        if hard == resource.RLIM_INFINITY or seconds < hard:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))


def main() -> None:
    """Answer requests until there are no more; Ctrl-C in a terminal is for the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if resource is not None:
        _bound()
    for line in sys.stdin.buffer:
        _start_clock()
        try:
            text = json.dumps(answer(json.loads(line)))
        except MemoryError:
            text = json.dumps({"failed": f"it took more than {MEMORY >> 20} MiB of memory"})
        sys.stdout.buffer.write(text.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
