"""``python -m llamaedge_launcher``: as the command ``llamaedge``."""

import signal
import sys


def main() -> None:
    """The command, which Ctrl-C ends without a word while it is still being imported."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from . import early
    from .importing import uncollected

    if sys.argv[1:2] == ["run"] and not {"-h", "--help"}.intersection(sys.argv):
        early.begin()
    try:
        with uncollected():
            from .cli import main as llamaedge

        if heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        llamaedge()
    finally:
        early.end()


if __name__ == "__main__":
    main()
