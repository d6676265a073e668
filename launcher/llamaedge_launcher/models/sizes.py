"""Sizes as people read them."""

_UNITS = ((10**9, "GB", 1), (10**6, "MB", 0), (10**3, "kB", 0))


def size_text(count: int) -> str:
    """``count`` bytes in a few characters: ``4.9 GB``, ``94 MB``, ``12 bytes``."""
    for unit, name, digits in _UNITS:
        if count >= unit:
            return f"{count / unit:.{digits}f} {name}"
    return f"{count} bytes"
