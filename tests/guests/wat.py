"""Guests in the text format."""

from pathlib import Path

from wasmtime import wat2wasm


def write_wat(folder: Path, text: str, name: str = "guest.wasm") -> str:
    """Write the module ``text`` into ``folder`` and answer its path."""
    path = folder / name
    path.write_bytes(bytes(wat2wasm(text)))
    return str(path)
