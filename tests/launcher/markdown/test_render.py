"""Markdown to HTML: what it understands, and what it lets nobody do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.markdown.render import DEEPEST, TooDeep, render

LINK = '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# One", "<h1>One</h1>"),
        ("*a* **b** ~~c~~ `d`", "<em>a</em> <strong>b</strong> <s>c</s> <code>d</code>"),
        ("[a](https://b.c/d)", LINK.format("https://b.c/d", "a")),
        ("<mailto:a@b.c>", LINK.format("mailto:a@b.c", "mailto:a@b.c")),
        ("![a cat](https://b.c/d.png)", LINK.format("https://b.c/d.png", "a cat")),
        ("|a|b|\n|:-|-:|\n|1|2|", '<th class="left">a</th>\n<th class="right">b</th>'),
        ("- [x] done", '<input checked="checked" disabled="" type="checkbox"> done'),
        ("```python\nif x:\n```", '<pre data-language="python"><code><span class="k">if</span>'),
        ("```nobody\n<b>\n```", '<pre data-language="nobody"><code>&lt;b&gt;\n</code></pre>'),
        ("$x^2$", '<span class="formula"><math display="inline"><mrow><msup><mi>x</mi>'),
        (r"\(x\)", '<math display="inline"><mrow><mi>x</mi></mrow></math>'),
        (r"is \[x\]", '<math display="block"><mrow><mi>x</mi></mrow></math>'),
        ("$$\nx\n$$", '<div class="formula"><math display="block">'),
        (r"$\frac{$", r"<code>\frac{</code>"),
        ("It is $5 or $10.", "It is $5 or $10."),
    ],
)
def test_markdown_becomes_html(text: str, html: str) -> None:
    assert html in render(text)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)><style>*{display:none}</style></svg>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<style>body{display:none}</style>",
        "[a](javascript:alert(1))",
        "[a](  JaVaScRiPt:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x) [b](file:///etc/passwd) [c](/v1/files) [d](//other.host/x)",
        "![a](javascript:alert(1)) ![b](data:image/svg+xml,<svg/onload=alert(1)>)",
        '[a](https://b.c "\\" onmouseover=alert(1) x=\\"")',
        '```" onclick="alert(1)\nx\n```',
        r"$\href{javascript:alert(1)}{x}\style{background:url(//a)}{y}\class{k}{z}$",
        r"$\text{<img src=x onerror=alert(1)>}$",
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)
def test_nothing_of_an_answer_can_run(text: str) -> None:
    html = render(text)
    assert not re.search(r"<(script|img|svg|style|iframe|object|embed|link|meta)\b", html)
    for tag in re.findall(r"<[a-z][^>]*>", html):
        bare = re.sub(r'"[^"]*"', '""', tag)
        assert not re.search(r"\s(on\w+|style|src|srcdoc|id|name)=", bare), tag
        for target in re.findall(r'href="([^"]*)"', tag):
            assert target.startswith(("https://", "http://", "mailto:")), tag


@given(st.text(alphabet="[]()!<>*_`$\\ \n|-#~ab:\"'&;={}^", max_size=80))
def test_any_text_is_rendered_and_harmless(text: str) -> None:
    html = render(text)
    assert not re.search(r"<(?!/?(?:[a-z]+[1-6]?)[ >])", html)


@pytest.mark.parametrize("text", [">" * 1000 + "a", "*a " * 500 + "a* " * 500])
def test_a_text_that_nests_too_deep_is_refused(text: str) -> None:
    with pytest.raises(TooDeep, match=str(DEEPEST)):
        render(text)


def test_a_formula_that_nests_too_deep_is_shown_as_it_is_written() -> None:
    assert "<math" not in render("$" + "{" * 1000 + "}" * 1000 + "$")
