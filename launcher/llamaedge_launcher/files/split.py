"""Splits a text at its own seams, in a process that can be ended.

``python -m llamaedge_launcher.files.split KIND CAPACITY PATH`` writes a JSON array of chunks of
at most CAPACITY tokens of cl100k_base; KIND is one of SPLITTERS. A text that is not UTF-8 ends
it with NOT_TEXT.
"""

import json
import os
import sys
from pathlib import Path

from semantic_text_splitter import MarkdownSplitter, TextSplitter

SPLITTERS: dict[str, type[TextSplitter] | type[MarkdownSplitter]] = {
    "txt": TextSplitter,
    "md": MarkdownSplitter,
}
NOT_TEXT = 3
_VOCABULARY = "gpt-3.5-turbo"  # whose tokens are cl100k_base's; the package carries it
_NICENESS = 10  # so that answers do not wait for it


def main() -> int:
    """Split as the command line says; the exit code."""
    kind, capacity, path = sys.argv[1:]
    os.nice(_NICENESS)
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError:
        return NOT_TEXT
    splitter = SPLITTERS[kind].from_tiktoken_model(_VOCABULARY, int(capacity))
    json.dump(splitter.chunks(text), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
