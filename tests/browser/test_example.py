"""examples/websocket_page in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from launcher.running import running
from playwright.sync_api import BrowserContext, expect

PAGE = Path(__file__).parents[2] / "examples" / "websocket_page"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Iterator[str]:
    """The address of a server that serves the page."""
    options = ("--web-ui", str(PAGE), "--ctx-size", "1024", "--n-predict", "24", "--temp", "0")
    with running(tmp_path_factory.mktemp("example"), *options) as server:
        yield server.wait_ready()


def test_an_answer_comes_over_websocket(context: BrowserContext, example: str) -> None:
    page = context.new_page()
    page.goto(example)
    page.get_by_label("Question").fill("Name the capital of France.")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("output")).to_contain_text("Paris")
