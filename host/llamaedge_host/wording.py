"""Words in messages for people."""


def counted(number: int, noun: str) -> str:
    """``number`` of ``noun``, whose plural is an s: 1 sequence, 2 sequences."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
