"""Log lines on stderr: text as LlamaEdge writes it, or JSON, one object a line.

``[2026-01-31 12:00:00.000] [info] text``, or ``{"time", "level", "logger", "message", ...}``, where
what a record has in ``fields`` stands beside these four.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from .outlet import Outlet

LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}
"""The levels, and what LlamaEdge's servers call them in LLAMA_LOG."""

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

_LAYOUT = "[%(asctime)s.%(msecs)03d] [%(level)s] %(source)s%(message)s"
_TIME = "%Y-%m-%d %H:%M:%S"
_LINE = re.compile(r"(?:\[[0-9 :.-]+\] )?\[(?P<level>[A-Za-z]+)\] (?P<message>.*)", re.DOTALL)
_PLAIN = re.compile(r"(?P<level>error|warning): (?P<message>.*)", re.DOTALL)
_SAID = {"trace": logging.DEBUG, "warn": logging.WARNING, "critical": logging.CRITICAL}
_SAID |= {each: getattr(logging, each.upper()) for each in LEVELS}
_LONGEST = 65536  # bytes of a line, after which it is cut


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower()
        record.source = f"{record.said_by}: " if hasattr(record, "said_by") else ""
        return super().format(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure(level: str, style: str = TEXT) -> None:
    """Send every logger's lines of ``level`` (of LEVELS) and above to stderr, as ``style`` says."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if style == JSON else _TextFormatter(_LAYOUT, _TIME))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(style == JSON)


def never_wait() -> None:
    """Lose what stderr does not take at once, unless it is a terminal: nobody may be reading it."""
    if sys.stderr.isatty():
        return
    outlet = Outlet(sys.stderr.fileno())
    for each in logging.root.handlers:
        if isinstance(each, logging.StreamHandler) and each.stream is sys.stderr:
            each.setStream(outlet)
    sys.stderr = cast(TextIO, outlet)


def is_json() -> bool:
    """Whether the lines are JSON."""
    return any(isinstance(each.formatter, _JsonFormatter) for each in logging.root.handlers)


def with_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a logging call's ``extra`` is, for ``fields`` to stand in the JSON."""
    return {"fields": fields}


class Lines:
    """Makes each line that is written to it a record of the logger ``name``.

    A line that says its level, as LlamaEdge's do or as ``error: ...`` does, has it; others are at
    info. The logger is open to all of them: who wrote them has chosen. Where the log is text,
    ``said_by`` stands before each. One thread writes at a time.
    """

    def __init__(self, name: str, *, said_by: str = "") -> None:
        self._extra = {"said_by": said_by} if said_by else {}
        self._log = logging.getLogger(name)
        self._log.setLevel(logging.DEBUG)
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        """Take ``data``; its last line waits for its end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._tell(line)

    def write(self, text: str) -> int:
        """As a text file's."""
        self(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits but a line that has no end yet."""

    def close(self) -> None:
        """Tell what is left."""
        if self._rest:
            self._tell(self._rest)
        self._rest = b""

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if not text.strip():
            return
        found = _LINE.fullmatch(text) or _PLAIN.fullmatch(text)
        level = _SAID.get(found["level"].lower()) if found else None
        if found and level is not None:
            self.tell(level, found["message"])
        else:
            self.tell(logging.INFO, text)

    def tell(self, level: int, text: str) -> None:
        """Log a line."""
        self._log.log(level, "%s", text, extra=self._extra)
