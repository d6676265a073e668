"""Pictures and recordings of a prompt, whose places llama.cpp marks in its text."""

import base64
import re
from collections.abc import Iterator

from ...remote.pictures import picture_kind
from ..fields import Fields, wrong

MARKER = "<__media__>"
"""What stands in a text for a file of ``multimodal_data``; /props tells it."""
_FILE = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_BEGINNING = 16  # characters of base64, from which a file is known
_RECORDINGS = (b"RIFF", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
_NO_FILE = "it must be the base64 of a PNG, JPEG, GIF, BMP, WAV, MP3 or FLAC file"


class Media:
    """The files of the prompts of one request, as guests take them: in the text."""

    def __init__(self) -> None:
        self._tags: list[str] = []

    def placed(self, prompt: Fields) -> str:
        """The text of ``prompt`` with its files in the place of their markers. Raises ApiError."""
        text: str = prompt.need("prompt_string", str)
        where = prompt.path("multimodal_data")
        files = prompt.texts("multimodal_data")
        if not files:
            return text
        if text.count(MARKER) != len(files):
            marks = f"the text has {MARKER} {text.count(MARKER)} times"
            raise wrong(where, f"{marks}, and there are {len(files)} files")
        tags = [_tag(file, f"{where}[{number}]") for number, file in enumerate(files)]
        self._tags += tags
        return "".join(_between(text.split(MARKER), tags))

    def marked(self, text: str) -> str:
        """A ``text`` with markers in the place of files."""
        for tag in self._tags:
            text = text.replace(tag, MARKER)
        return text


def _between(texts: list[str], tags: list[str]) -> Iterator[str]:
    for text, tag in zip(texts, [*tags, ""], strict=True):
        yield text
        yield tag


def _tag(file: str, where: str) -> str:
    """The form of a file within a text that the host reads."""
    if not _FILE.fullmatch(file):
        raise wrong(where, _NO_FILE)
    start = base64.b64decode(file[:_BEGINNING])
    if kind := picture_kind(start):
        return f'<img src="data:image/{kind};base64,{file}">'
    if start.startswith(_RECORDINGS):
        return f'<audio src="data:audio/wav;base64,{file}">'
    raise wrong(where, _NO_FILE)
