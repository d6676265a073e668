"""Markdown, code and formulas to HTML of a few harmless elements."""

import re
from collections.abc import Sequence
from typing import Any

import nh3
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from mdit_py_plugins.texmath import texmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

DEEPEST = 60
"""Elements within each other."""

_READ_TO = 100  # levels that are read, so that what is too deep is noticed and not left out
_DEEPEST_FORMULA = 40  # braces
_LONGEST_FORMULA = 4000  # characters
_LONGEST_CODE = 100_000  # characters that are coloured
_SAFE = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
_ALIGNMENT = re.compile(r"text-align:(left|center|right)")
_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)
_HTML_TAGS = """
a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr input li ol p pre s span strong
table tbody td th thead tr ul
"""
_MATHML_TAGS = """
math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mroot mrow ms mspace
msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none
"""
_MATHML_ATTRIBUTES = """
accent accentunder columnalign columnlines columnspacing depth display displaystyle fence
form frame height linethickness lspace mathcolor mathsize mathvariant maxsize minsize
movablelimits notation rowlines rowspacing rspace scriptlevel separator stretchy symmetric
voffset width
"""
_TAGS = {*_HTML_TAGS.split(), *_MATHML_TAGS.split()}
_ATTRIBUTES = {tag: set(_MATHML_ATTRIBUTES.split()) for tag in _MATHML_TAGS.split()} | {
    "a": {"href"},
    "code": {"class"},
    "div": {"class"},
    "input": {"checked", "disabled", "type"},
    "ol": {"start"},
    "pre": {"class", "data-language"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}


class TooDeep(ValueError):
    """A text nests more than DEEPEST elements."""


def render(text: str) -> str:
    """HTML of ``text``, which is CommonMark with tables, strikethrough, tasks and formulas.

    Formulas stand between dollars or in LaTeX's brackets and become MathML. HTML in ``text``
    is shown as it is written, links go to http, https and mailto alone, pictures become links.
    Raises TooDeep.
    """
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        inner = max((each.level for each in token.children or ()), default=0)
        if token.level + inner > DEEPEST:
            raise TooDeep(f"the text nests more than {DEEPEST} elements")
        _align(token)
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}, "input": {"disabled": ""}},
    )


def _align(token: Token) -> None:
    """The alignment of a table's cell as a class: the page's policy lets no style in."""
    found = _ALIGNMENT.search(str(token.attrs.pop("style", "")))
    if found:
        token.attrs["class"] = found[1]


def _fence(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    environment: dict[str, Any],
) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    named = f' data-language="{escapeHtml(language)}"' if language else ""
    return f"<pre{named}><code>{_coloured(token.content, language)}</code></pre>\n"


def _coloured(code: str, language: str) -> str:
    if not language or len(code) > _LONGEST_CODE:
        return escapeHtml(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    return highlight(code, lexer, _FORMATTER)


def _picture(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    environment: dict[str, Any],
) -> str:
    """A link to the picture, which the page does not fetch from elsewhere."""
    source = str(tokens[index].attrs.get("src", ""))
    called = escapeHtml(tokens[index].content.strip() or "picture")
    if not _SAFE.match(source):
        return called
    return f'<a href="{escapeHtml(source)}">{called}</a>'


def _formula(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    environment: dict[str, Any],
) -> str:
    token = tokens[index]
    block = "block" in token.type or "double" in token.type
    source = token.content.strip()
    tag = "div" if token.block else "span"
    written = _mathml(source, "block" if block else "inline")
    if written is None:
        return f"<{tag}><code>{escapeHtml(source)}</code></{tag}>"
    return f'<{tag} class="formula">{written}</{tag}>'


def _displayed(state: StateInline, silent: bool) -> bool:
    """markdown-it's rule for LaTeX's brackets within a paragraph."""
    if not state.src.startswith("\\[", state.pos):
        return False
    end = state.src.find("\\]", state.pos + 2)
    if end < 0 or not state.src[state.pos + 2 : end].strip():
        return False
    if not silent:
        token = state.push("math_inline_double", "math", 0)
        token.content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


def _mathml(source: str, display: str) -> str | None:
    """MathML, or None for what cannot be read as a formula: it is shown as it is written."""
    if len(source) > _LONGEST_FORMULA or _depth(source) > _DEEPEST_FORMULA:
        return None
    try:
        return convert(source, display=display)
    except Exception:  # its parser raises whatever it meets: IndexError, StopIteration, its own
        return None


def _depth(source: str) -> int:
    deepest = depth = 0
    for each in source:
        depth += (each == "{") - (each == "}")
        deepest = max(deepest, depth)
    return deepest + source.count("\\left") + source.count("\\begin")


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": _READ_TO})
    markdown.enable(["table", "strikethrough"])
    dollarmath_plugin(
        markdown, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True
    )
    texmath_plugin(markdown, delimiters="brackets")
    markdown.inline.ruler.before("escape", "math_displayed", _displayed)
    tasklists_plugin(markdown)
    for kind in ("inline", "inline_double", "block", "block_eqno"):
        markdown.add_render_rule(f"math_{kind}", _formula)
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("code_block", _fence)
    markdown.add_render_rule("image", _picture)
    markdown.validateLink = lambda url: _SAFE.match(url) is not None  # type: ignore[method-assign]
    return markdown


_MARKDOWN = _markdown()
