"""The text of a file, whatever its format."""

import codecs
import logging
import re
from html.parser import HTMLParser
from pathlib import Path

_PDF = b"%PDF-"
_MARKDOWN = {".md", ".markdown"}
_HTML = {".html", ".htm", ".xhtml"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NotTextError(ValueError):
    """A file that has no text, and why."""


def read(path: Path) -> tuple[str, bool]:
    """The text, and whether it is Markdown.

    A PDF's pages and what an HTML page shows; any other file as it is, in UTF-8, or UTF-16 with
    its mark. Raises NotTextError and OSError.
    """
    data = path.read_bytes()
    suffix = path.suffix.lower()
    if data.startswith(_PDF):
        return _pdf(path), False
    text = _decoded(data, "utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    if "\0" in text:
        raise NotTextError("it is no text: it has NUL characters")
    if suffix in _HTML:
        page = _Page()
        page.feed(text)
        page.close()
        return "".join(page.parts), False
    return text, suffix in _MARKDOWN


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"it is not {error.encoding.upper()} at byte {error.start}"
        raise NotTextError(f"{what}, and no PDF") from error


def _pdf(path: Path) -> str:
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise NotTextError(
            "a PDF's text needs an extra: pip install 'llamaedge-host[rag]'"
        ) from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        return "\n\n".join(page.extract_text() for page in PdfReader(path).pages)
    except Exception as error:  # of any kind, as the file may have anything in it
        raise NotTextError(f"it is a PDF that cannot be read: {error}") from error


class _Page(HTMLParser):
    """What an HTML page shows."""

    _HIDDEN = frozenset(("script", "style", "template", "noscript"))
    _BLOCKS = re.compile(
        r"address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|figcaption|figure|footer|form"
        r"|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|table|title|tr|ul"
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block begins on a line of its own."""
        self._hidden += tag in self._HIDDEN
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        """As it ends on one."""
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        """The text between tags."""
        if not self._hidden:
            self.parts.append(data)

    def _separate(self, tag: str) -> None:
        if self._BLOCKS.fullmatch(tag):
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")
