"""How the page looks at each size and in both colours, and what assistive technology finds."""

import re
from collections.abc import Callable, Iterator

import pytest
from launcher.running import Server
from playwright.sync_api import Browser, Page, expect

from .conftest import SIZES, WAIT, Problems, ask, script, stream, wait_answered

EVERYTHING = """# Heading

A paragraph with **bold**, *italic*, `code`, ~~struck~~ and [a link](https://example.com/).

- one
- [x] done

1. first

> quoted

| left | right |
|:-----|------:|
| a    | 1     |

```python
def add(a, b):  # numbers
    return "sum", a + b
```

Inline $x^2$ and

$$\\int_0^1 x\\,dx = \\frac{1}{2}$$
"""


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SIZES)
def sized(
    request: pytest.FixtureRequest,
    browser: Browser,
    server: Server,
    scheme: str,
    problems: Problems,
) -> Iterator[Page]:
    """The page at one size and in one scheme."""
    width, height = SIZES[request.param]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    context.set_default_timeout(WAIT)
    page = problems.watch(context.new_page())
    page.goto(server.wait_ready())
    yield page
    context.close()


def settled(page: Page) -> None:
    """Nothing sticks out to the side, and nothing of the frame is off the screen."""
    width = page.evaluate("innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("Question", "Send"):
        box = page.get_by_label(name, exact=True).bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= page.evaluate("innerHeight")


def open_list(page: Page) -> None:
    opener = page.get_by_role("button", name="Open the list of conversations")
    if opener.is_visible():
        opener.click()


def test_it_fits_and_axe_finds_nothing(sized: Page, axe_finds: Callable[[Page], list[str]]) -> None:
    page = sized
    settled(page)
    assert axe_finds(page) == []
    script(page, stream({"reasoning_content": "Let me see."}, {"content": EVERYTHING}))
    ask(page, "Show me everything.")
    wait_answered(page)
    expect(page.locator(".body math")).to_have_count(2)
    settled(page)
    assert axe_finds(page) == []
    for name in ("Settings of this conversation", "Models", "What the server does now"):
        page.get_by_role("button", name=name, exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        box = dialog.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.evaluate("innerWidth")
        assert axe_finds(page) == []
        page.keyboard.press("Escape")
    open_list(page)
    page.get_by_role("button", name=re.compile("More for")).click()
    expect(page.get_by_role("menu")).to_be_visible()
    assert axe_finds(page) == []


def test_a_finger_sends_by_the_button(browser: Browser, server: Server) -> None:
    width, height = SIZES["phone"]
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=True, is_mobile=True
    )
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.goto(server.wait_ready())
    asked = script(page, stream({"content": "Hello."}))
    page.get_by_role("textbox", name="Question").tap()
    page.keyboard.type("One")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    assert asked == []
    page.get_by_role("button", name="Send", exact=True).tap()
    wait_answered(page)
    assert asked[0]["messages"] == [{"role": "user", "content": "One\ntwo"}]
    context.close()


def test_a_long_conversation_is_laid_out_where_it_is_seen(page: Page) -> None:
    rendered = []
    page.on("request", lambda each: rendered.append(each) if "render" in each.url else None)
    messages = []
    for number in range(500):
        role = "assistant" if number % 2 else "user"
        parent = f"m{number - 1}" if number else None
        text = f"Message {number}\n\n" + "Some words of it. " * (number % 30 + 1)
        messages.append({"id": f"m{number}", "parent": parent, "role": role, "content": text,
                         "created": number + 1})  # fmt: skip
    conversation = {"id": "c", "title": "Long", "leaf": "m499", "messages": messages}
    file = {"format": "llamaedge-conversations", "version": 1, "conversations": [conversation]}
    page.evaluate(
        """(file) => {
            const input = document.querySelector("[aria-label='Conversations to import']");
            const data = new DataTransfer();
            data.items.add(new File([JSON.stringify(file)], "long.json"));
            input.files = data.files;
            input.dispatchEvent(new Event("change"));
        }""",
        file,
    )
    shown = page.get_by_role("article")
    expect(shown).to_have_count(500)
    expect(page.get_by_text("Message 499")).to_be_in_viewport()
    laid_out = """Array.from(document.querySelectorAll("article .body"))
        .filter((each) => each.checkVisibility({contentVisibilityAuto: true})).length"""
    page.wait_for_function(f"{laid_out} < 40")
    assert len(rendered) < 40, "messages far away are rendered when they come near"
    page.get_by_label("Messages", exact=True).focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("Message 0", exact=False).first).to_be_in_viewport()
    page.wait_for_function(f"{laid_out} < 60")
    page.get_by_role("button", name="Latest").click()
    expect(page.get_by_text("Message 499")).to_be_in_viewport()


def test_all_that_is_loaded_comes_from_the_server_and_is_small(
    browser: Browser, server: Server, problems: Problems
) -> None:
    context = browser.new_context()
    page = problems.watch(context.new_page())
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    urls: list[str] = []
    session.on("Network.loadingFinished", lambda each: sizes.append(each["encodedDataLength"]))
    page.on("request", lambda each: urls.append(each.url))
    page.goto(server.wait_ready(), wait_until="networkidle")
    assert all(url.startswith((server.wait_ready(), "data:")) for url in urls)
    assert len(sizes) > 20
    assert sum(sizes) < 150_000
    context.close()
