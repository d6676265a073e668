"""Splits a text at its own seams, in a process that can be ended.

``python -m llamaedge_launcher.files.split KIND MOST OVERLAP PATH`` writes chunks of at most MOST
tokens of cl100k_base, each a line of JSON; a chunk begins with up to OVERLAP tokens of the one
before. KIND is one of KINDS. A file that is no text ends it with NOT_TEXT, and a line that says
why.
"""

import json
import os
import resource
import sys
from pathlib import Path

from . import text as any_text

KINDS = ("txt", "md", "any")
NOT_TEXT = 3
_VOCABULARY = "gpt-3.5-turbo"  # whose tokens are cl100k_base's; the package carries it
_NICENESS = 10  # so that answers do not wait for it
_MEMORY = 8 * 1024**3  # bytes of addresses; a small PDF may unfold to anything


def main() -> int:
    """Split as the command line says; the exit code."""
    from semantic_text_splitter import MarkdownSplitter, TextSplitter  # which the front needs not

    kind, most, overlap, path = sys.argv[1:]
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.RLIM_INFINITY))
    try:
        text, markdown = _read(kind, Path(path))
    except any_text.NotTextError as error:
        sys.stdout.write(json.dumps(str(error)) + "\n")
        return NOT_TEXT
    splitter = (MarkdownSplitter if markdown else TextSplitter).from_tiktoken_model(
        _VOCABULARY, int(most), overlap=int(overlap)
    )
    for chunk in splitter.chunks(text):
        sys.stdout.write(json.dumps(chunk) + "\n")
    return 0


def _read(kind: str, path: Path) -> tuple[str, bool]:
    if kind == "any":
        return any_text.read(path)
    try:
        return path.read_text("utf-8"), kind == "md"
    except UnicodeDecodeError as error:
        raise any_text.NotTextError("it is not UTF-8") from error


if __name__ == "__main__":
    sys.exit(main())
