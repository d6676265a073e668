"""The chat templates that a GGUF carries."""

from collections.abc import Mapping

KEY = "tokenizer.chat_template"
DEFAULT = "default"


def sources(metadata: Mapping[str, object]) -> dict[str, str]:
    """The templates of a GGUF's metadata by name; the one without a name is ``default``."""
    return {
        key.removeprefix(KEY).removeprefix(".") or DEFAULT: value
        for key, value in metadata.items()
        if (key == KEY or key.startswith(f"{KEY}.")) and isinstance(value, str)
    }
