"""What an answer may not do to the page, and what other pages may not do to the server."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from launcher.running import Server, running
from playwright.sync_api import Browser, Page, expect

from .conftest import Problems, ask, question, script, stream, wait_answered

RUN = "window.ran = true"
NASTY = {
    "script": f"<script>{RUN}</script>",
    "script in a list": f"- a\n\n  <script>{RUN}</script>",
    "handler": f"<img src=x onerror='{RUN}'>",
    "handler in markdown": f'![x](https://x.invalid/y.png "a\\" onerror=\\"{RUN}")',
    "javascript link": f"[click](javascript:{RUN})",
    "javascript link by entities": f"[click](&#106;avascript&colon;{RUN})",
    "data link": f"[click](data:text/html,<script>{RUN}</script>)",
    "autolink": f"<javascript:{RUN}>",
    "svg": f"<svg onload='{RUN}'><script>{RUN}</script></svg>",
    "style": "<style>body { display: none }</style><p style='position:fixed;inset:0'>x</p>",
    "iframe": f"<iframe srcdoc='<script>parent.{RUN.removeprefix('window.')}</script>'></iframe>",
    "object": "<object data='data:text/html,x'></object><embed src='data:text/html,x'>",
    "form": "<form action='https://x.invalid'><button>Send</button></form>",
    "base": "<base href='https://x.invalid/'>",
    "formula": f"$\\href{{javascript:{RUN}}}{{x}} \\text{{<img src=x onerror={RUN}>}}$",
    "fence": f'```"><script>{RUN}</script>\n<script>{RUN}</script>\n```',
    "mathml": f"<math><mtext><img src=x onerror='{RUN}'></mtext></math>",
    "mutation": f"<noscript><p title='</noscript><img src=x onerror={RUN}>'></noscript>",
    "template": f"<template><script>{RUN}</script></template>",
    "one long line": "a" * 1_000_000,
    "deep quotes": ">" * 20_000 + " deep",
    "deep lists": "".join("  " * depth + "- a\n" for depth in range(300)),
    "deep emphasis": "*a " * 5000 + "a* " * 5000,
    "deep formula": "$" + "{" * 5000 + "}" * 5000 + "$",
    "brackets": "[" * 50_000,
    "pictures": "![" * 40_000,
    "wide table": "|" * 5000 + "\n" + "|-" * 5000 + "|\n",
    "bidirectional": "\u202e" * 1000 + "abc",
    "marks": "a" + "\u0301" * 20_000,
}


@pytest.mark.parametrize("name", NASTY)
def test_nothing_of_an_answer_runs_or_hangs(page: Page, problems: Problems, name: str) -> None:
    asked_elsewhere: list[str] = []
    page.on("request", lambda each: asked_elsewhere.append(each.url))
    script(page, stream({"content": NASTY[name]}))
    ask(page, "Go on.")
    wait_answered(page)
    body = page.locator(".message.assistant .body")
    expect(body.locator(".tail")).to_have_count(0)
    expect(body).not_to_be_empty()
    forbidden = "script, img, svg, style, iframe, object, embed, form, base, link, template"
    assert body.locator(f":is({forbidden}, [style]):not(.code-top *)").count() == 0
    for link in body.locator("a").all():
        assert (link.get_attribute("href") or "").startswith(("https://", "http://", "mailto:"))
        assert link.get_attribute("rel") == "noopener noreferrer"
    assert page.evaluate("window.ran") is None
    assert not [url for url in asked_elsewhere if "invalid" in url]
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    question(page).fill("still here")
    expect(question(page)).to_have_value("still here")
    problems[:] = [each for each in problems if "/api/render" not in each]


def test_what_a_file_brings_is_shown_as_text(page: Page) -> None:
    message = {"id": "m", "parent": None, "role": "assistant", "created": 1, "content": "x",
               "html": f"<img src=x onerror='{RUN}'>", "error": "<b>e</b>",
               "pictures": [{"name": "p", "url": "javascript:1"}]}  # fmt: skip
    conversation = {"title": "<img src=x onerror=1>", "leaf": "m", "messages": [message]}
    file = {"format": "llamaedge-conversations", "version": 1, "conversations": [conversation]}
    page.get_by_label("Conversations to import").set_input_files(
        {"name": "a.json", "mimeType": "application/json", "buffer": json.dumps(file).encode()}
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("<img src=x onerror=1>")
    expect(page.get_by_text("<b>e</b>")).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.evaluate("window.ran") is None


def test_the_policy_holds_where_a_script_gets_in(page: Page, problems: Problems) -> None:
    """If all else failed: neither markup nor inline script of a text would do anything."""
    refused = page.evaluate(
        """() => { try { document.body.innerHTML += "<p>x</p>"; return "" }
                   catch (error) { return error.name } }"""
    )
    assert refused == "TypeError"
    page.evaluate(
        """() => { const script = document.createElement("script");
                   try { script.text = "window.ran = true" } catch { /* refused */ }
                   document.body.append(script) }"""
    )
    assert page.evaluate("window.ran") is None
    problems.clear()


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """The address of a page of another origin."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Elsewhere</title><p>Elsewhere</p>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/"
        listening.shutdown()


ATTEMPTS = Path(__file__).with_name("attempts.js").read_text()


def test_a_page_of_another_origin_neither_reads_nor_drives_the_server(
    browser: Browser, server: Server, foreign: str
) -> None:
    url = server.wait_ready() + "/"
    log_before = server.terminal.read_text().count("POST /v1/chat/completions 200")
    context = browser.new_context()
    page = context.new_page()
    page.goto(foreign)
    outcomes = page.evaluate(ATTEMPTS, url)
    context.close()
    assert outcomes.pop("ask blindly") in ("opaque", "TypeError")
    assert outcomes.pop("frame") in ("SecurityError", "TypeError", "")
    assert outcomes.pop("load its script") == "refused"
    assert outcomes.pop("socket") == "refused"
    assert outcomes == dict.fromkeys(outcomes, "TypeError")
    assert server.terminal.read_text().count("POST /v1/chat/completions 200") == log_before


def test_a_key_is_asked_for_and_kept_for_the_session(
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    smollm2: Path,
    module_cache: Path,
    problems: Problems,
) -> None:
    folder = tmp_path_factory.mktemp("guarded")
    with running(folder, "--ctx-size", "512", "--n-predict", "8", "--api-key", "sesame") as guarded:
        context = browser.new_context()
        page = problems.watch(context.new_page())
        page.goto(guarded.wait_ready())
        dialog = page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key").fill("wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("does not take this key")
        dialog.get_by_label("Key").fill("sesame")
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        ask(page, "Say hello.")
        wait_answered(page)
        page.reload()
        ask(page, "Say more.")
        wait_answered(page, 2)
        assert page.evaluate("localStorage.length") == 0
        assert "sesame" in page.evaluate("JSON.stringify({...sessionStorage})")
        assert "sesame" not in page.context.new_page().url
        context.close()
    problems[:] = [each for each in problems if "401" not in each]
