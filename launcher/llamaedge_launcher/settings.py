"""What the public server is told on the command line."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``keys`` are what clients may show, none lets everyone in.

    ``origins`` are the web pages' that may ask from a browser, ``*`` any.
    """

    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
