"""Log lines as LlamaEdge writes them, to stderr: ``[2026-01-31 12:00:00.000] [info] text``."""

import logging

LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}
"""The levels, and what LlamaEdge's servers call them in LLAMA_LOG."""


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower()
        return super().format(record)


def configure(level: str) -> None:
    """Send every logger's lines of ``level`` (one of LEVELS) and above to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _Formatter("[%(asctime)s.%(msecs)03d] [%(level)s] %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
