"""llama.cpp's libraries and Python bindings, where a wheel of this project has them inside."""

import logging
import sys
from pathlib import Path

BINDINGS = "llama_cpp_python"
FOLDER = Path(__file__).with_name("bundled")
"""What scripts/wheel puts there: an unpacked wheel of the bindings."""

_log = logging.getLogger("llamaedge_host.nn")


def offer(folder: Path = FOLDER) -> None:
    """Let Python find the bindings in ``folder``, if they are there and not installed besides.

    Installed ones of the same version, which may be for a GPU, go before; those of another version
    do not fit and are passed over.
    """
    if not folder.is_dir():
        return
    from importlib.metadata import PackageNotFoundError, distributions, version  # takes 40 ms

    inside = next(iter(distributions(name=BINDINGS, path=[str(folder)])), None)
    if inside is None:
        return
    try:
        installed = version(BINDINGS)
    except PackageNotFoundError:
        installed = inside.version
    if installed == inside.version:
        sys.path.append(str(folder))
        return
    _log.warning(
        "llama-cpp-python %s is installed, and this needs %s, which it has inside and takes;"
        " pip install llama-cpp-python==%s to take the installed one",
        installed,
        inside.version,
        inside.version,
    )
    sys.path.insert(0, str(folder))
