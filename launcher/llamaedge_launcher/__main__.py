"""``python -m llamaedge_launcher`` is the command ``llamaedge``."""

from .cli import main

main()
