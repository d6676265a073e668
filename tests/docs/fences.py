"""The shell commands of the project's documents, and what is said of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELLS = {"bash", "sh", "shell", "console", "zsh"}
_MARK = re.compile(r"<!-- (run|serves|not run: \S.*) -->")
_FENCE = re.compile(r"( *)```+ *(\w*)")


@dataclass(frozen=True)
class Fence:
    """A block of shell commands in ``path`` at ``line``; ``mark`` says what a test does with it.

    run: they end by themselves, with success. serves: the last one is a server. not run: why.
    """

    path: Path
    line: int
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """All documents for people."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def fences(path: Path) -> Iterator[Fence]:
    """The blocks of shell commands in the Markdown file ``path``, "" for a mark that is missing."""
    before, block, start, shell = "", list[str](), 0, False
    inside = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        opening = _FENCE.match(line)
        if inside and opening:
            inside = False
            if shell:
                mark = _MARK.fullmatch(before.strip())
                yield Fence(path, start, mark[1] if mark else "", "\n".join(block))
            before = ""
        elif inside:
            block.append(line)
        elif opening:
            inside, block, start, shell = True, [], number, opening[2] in SHELLS
        elif line.strip():
            before = line
