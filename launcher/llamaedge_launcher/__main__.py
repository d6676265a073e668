"""``python -m llamaedge_launcher``: as the command ``llamaedge``."""

import signal


def main() -> None:
    """The command, which Ctrl-C ends without a word while it is still being imported."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as llamaedge

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    llamaedge()


if __name__ == "__main__":
    main()
