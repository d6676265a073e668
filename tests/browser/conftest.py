"""A real browser on the page of a real server. Without a browser these tests skip and say so."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launcher.running import Server, running
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    expect,
    sync_playwright,
)

AXE = "axe-core@4.14.1"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
WAIT = 90_000  # milliseconds for what a model does on a machine that is busy

expect.set_options(timeout=WAIT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module: while it runs, no test of this process can run an event loop."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("there is no chromium here (on Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, module_cache: Path
) -> Iterator[Server]:
    """SmolLM2 with short answers that are always the same."""
    folder = tmp_path_factory.mktemp("server")
    options = ("--ctx-size", "2048", "--n-predict", "40", "--temp", "0")
    with running(folder, *options) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of somebody who was never here, on a desktop."""
    width, height = SIZES["desktop"]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(WAIT)
    yield context
    context.close()


class Problems(list[str]):
    """What the console and the page complain of."""

    def watch(self, page: Page) -> Page:
        page.on("console", self._take)
        page.on("pageerror", lambda error: self.append(str(error)))
        return page

    def _take(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.append(f"{message.text} {message.location['url']}")


@pytest.fixture
def problems() -> Iterator[Problems]:
    """Nothing may be in it at the end of a test, but what the test takes out."""
    problems = Problems()
    yield problems
    assert problems == []


@pytest.fixture
def page(context: BrowserContext, server: Server, problems: Problems) -> Page:
    """The page, opened."""
    page = problems.watch(context.new_page())
    page.goto(server.wait_ready())
    expect(page.get_by_label("Model", exact=True)).to_have_value("demo")
    return page


@pytest.fixture(scope="session")
def axe(request: pytest.FixtureRequest) -> str:
    """axe-core's script, fetched once by npm."""
    assert request.config.cache
    folder = request.config.cache.mkdir("axe")
    script = folder / f"{AXE}.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is fetched by npm, which is not here")
        fetched = subprocess.run(
            [npm, "pack", AXE, "--silent"], cwd=folder, capture_output=True, text=True
        )
        if fetched.returncode:
            pytest.skip(f"npm cannot fetch {AXE}: {fetched.stderr.strip()[-200:]}")
        with tarfile.open(folder / fetched.stdout.strip().splitlines()[-1]) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member
            script.write_bytes(member.read())
    return script.read_text()


@pytest.fixture(scope="session")
def axe_finds(axe: str) -> Callable[[Page], list[str]]:
    """What axe-core finds wrong with a page, as it is now."""

    def find(page: Page) -> list[str]:
        page.evaluate(axe + "\n0")
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return find


def ask(page: Page, text: str) -> None:
    """Write a question and send it."""
    question(page).fill(text)
    page.keyboard.press("Enter")


def question(page: Page) -> Any:
    return page.get_by_role("textbox", name="Question")


def answers(page: Page) -> Any:
    return page.get_by_role("article", name="Answer", exact=True)


def wait_answered(page: Page, count: int = 1) -> Any:
    """The answers, once there are so many and the last is complete."""
    expect(answers(page)).to_have_count(count)
    expect(answers(page).last).to_have_attribute("aria-busy", "false")
    return answers(page)


def stream(*deltas: dict[str, Any], finish: str | None = "stop", done: bool = True) -> str:
    """An event stream of a chat's answer; without ``done`` it is cut off."""
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": each}]} for each in deltas]
    if finish:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    text = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks)
    return text + ("data: [DONE]\n\n" if done else "")


def script(page: Page, *bodies: str) -> list[dict[str, Any]]:
    """Answer chats by ``bodies``, the last one again and again; the requests that came."""
    asked: list[dict[str, Any]] = []

    def answer(route: Route) -> None:
        body = bodies[min(len(asked), len(bodies) - 1)]
        asked.append(route.request.post_data_json)
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    page.route("**/v1/chat/completions", answer)
    return asked
