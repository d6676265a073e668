"""What has been said, and what is attached to the next message."""

import base64
from pathlib import Path
from typing import Any

from llamaedge_host.paths import expanded

from ..errors import LauncherError
from ..models.sizes import size_text

MOST = 20_000_000
"""Bytes of a file that may be attached."""
_PICTURES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"RIFF": "image/webp",
}
Message = dict[str, Any]


class Conversation:
    """The messages of a chat, as OpenAI's API has them."""

    def __init__(self, system: str | None = None) -> None:
        self.system = system
        self._said: list[Message] = []
        self._pictures: list[str] = []
        self._texts: list[str] = []

    @property
    def messages(self) -> list[Message]:
        """All of them, the system's first."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self._said]

    def attach(self, name: str) -> str:
        """Add a picture or a text file to the next message; what it is, in words.

        Raises LauncherError for a file that cannot be read or is neither.
        """
        path = expanded(name)
        data = _read(path)
        kind = next((kind for start, kind in _PICTURES.items() if data.startswith(start)), None)
        if kind is not None:
            self._pictures.append(f"data:{kind};base64,{base64.b64encode(data).decode()}")
            return f"{path.name}, a picture of {size_text(len(data))}"
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise LauncherError(f"{path} is neither a picture nor text in UTF-8") from None
        self._texts.append(f"{path.name}:\n```\n{text}\n```")
        return f"{path.name}, {len(text):,} characters"

    def ask(self, text: str) -> None:
        """The user's next message, with what is attached."""
        whole = "\n\n".join((*self._texts, text))
        parts: list[Message] = [{"type": "text", "text": whole}]
        parts += [{"type": "image_url", "image_url": {"url": url}} for url in self._pictures]
        self._said.append({"role": "user", "content": parts if self._pictures else whole})
        self._pictures, self._texts = [], []

    def answer(self, text: str) -> None:
        """The model's message."""
        self._said.append({"role": "assistant", "content": text})

    def take_back(self) -> None:
        """Forget the user's message that got no answer."""
        self._said.pop()

    def clear(self) -> None:
        """Forget what was said; the system's message stays."""
        self._said.clear()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise LauncherError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MOST:
        raise LauncherError(f"{path} is larger than {size_text(MOST)}")
    return data
