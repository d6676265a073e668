"""Models in several files: ``name-00001-of-00003.gguf`` and the two after it.

Source: llama.cpp's gguf-split, which names them so and finds the others by the first one's name.
"""

import re
from pathlib import Path

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def files(name: str) -> tuple[str, ...]:
    """The names of all files of the model that ``name`` is a file of, the first one first."""
    found = _NAME.fullmatch(name)
    if found is None:
        return (name,)
    count = int(found["count"])
    return tuple(
        f"{found['stem']}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)
    )


def paths(path: Path) -> tuple[Path, ...]:
    """As ``files``, in the folder of ``path``."""
    names = files(path.name)
    return (path,) if names == (path.name,) else tuple(map(path.with_name, names))
