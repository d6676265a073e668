"""Reasoning as OpenAI's `encrypted_content`, which clients that keep nothing here send back.

They drop reasoning that has none. It is no secret here, and so it is not encrypted.
"""

import base64
import binascii

_OURS = "reasoning:"


def sealed(thought: str) -> str:
    """What a client keeps of ``thought``."""
    return _OURS + base64.b64encode(thought.encode()).decode()


def opened(text: str) -> str:
    """What was thought, "" where another server has sealed it."""
    try:
        return base64.b64decode(text.removeprefix(_OURS)).decode() if text.startswith(_OURS) else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
