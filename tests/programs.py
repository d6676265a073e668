"""This project's programs, as processes of the tests' own Python."""

import sys


def wasmedge(*arguments: str) -> list[str]:
    """The command `wasmedge` with ``arguments``."""
    return [sys.executable, "-c", "from llamaedge_launcher.cli.wasmedge import main; main()",
            *arguments]  # fmt: skip
