"""A new user's first minutes, in pictures with ``--screenshots FOLDER``."""

from collections.abc import Callable
from pathlib import Path

import pytest
from launcher.running import Server
from playwright.sync_api import Browser, Page, expect

from .conftest import SIZES, WAIT, Problems, answers, ask, wait_answered
from .test_talk import Models, model

NOTES = b"# Trip\n\nThe train leaves at 9:40.\n\n# Hotel\n\nIt is called Aurora."


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    folder: Path | None = request.config.getoption("--screenshots")
    taken: list[str] = []

    def shoot(page: Page, name: str) -> None:
        taken.append(name)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{len(taken):02}-{name}.png")

    return shoot


@pytest.mark.parametrize(
    ("size", "scheme"), [("phone", "light"), ("tablet", "dark"), ("desktop", "light")]
)
def test_start_ask_stop_attach_switch_reload_and_export(
    browser: Browser,
    server: Server,
    problems: Problems,
    shoot: Callable[[Page, str], None],
    tmp_path: Path,
    size: str,
    scheme: str,
) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1,
    )
    context.set_default_timeout(WAIT)
    page = problems.watch(context.new_page())

    def picture(name: str) -> None:
        shoot(page, f"{size}-{scheme}-{name}")

    page.goto(server.wait_ready())
    expect(page.get_by_role("list", name="Examples")).to_be_visible()
    picture("start")
    ask(page, "Write a Python function that adds two numbers.")
    wait_answered(page)
    expect(page.locator(".code")).to_be_visible()
    picture("answer")
    page.get_by_role("button", name="Settings of this conversation").click()
    page.get_by_label("Longest answer").fill("1500")
    picture("settings")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    ask(page, "Write a long story about a river.")
    expect(answers(page)).to_have_count(2)
    expect(answers(page).last.locator(".body")).not_to_be_empty()
    page.get_by_role("button", name="Stop the answer").click()
    wait_answered(page, 2)
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    picture("stopped")
    page.get_by_label("Files", exact=True).set_input_files(
        {"name": "trip.md", "mimeType": "text/markdown", "buffer": NOTES}
    )
    expect(page.locator(".attached")).not_to_contain_text("reading")
    page.get_by_role("button", name="Settings of this conversation").click()
    page.get_by_label("Longest answer").fill("30")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    ask(page, "When does the train leave?")
    wait_answered(page, 3)
    page.get_by_text("1 excerpt of trip.md").click()
    picture("attached")
    Models(page, model("default", default=True), model("org/other:Q4_K_M", status="available"))
    page.get_by_label("Model", exact=True).select_option("org/other:Q4_K_M")
    page.get_by_role("button", name="Models", exact=True).click()
    expect(page.get_by_role("button", name="Unload org/other:Q4_K_M")).to_be_visible()
    picture("models")
    page.keyboard.press("Escape")
    page.reload()
    expect(answers(page)).to_have_count(3)
    picture("reloaded")
    opener = page.get_by_role("button", name="Open the list of conversations")
    if opener.is_visible():
        opener.click()
    page.get_by_role("button", name="More for Write a Python").click()
    picture("menu")
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as Markdown").click()
    download.value.save_as(tmp_path / "a.md")
    assert "## You\n\nWhen does the train leave?" in (tmp_path / "a.md").read_text()
    if opener.is_visible():
        page.keyboard.press("Escape")
        page.locator("#veil").click(position={"x": width - 10, "y": 300})
    page.get_by_role("button", name="What the server does now").click()
    expect(page.locator(".plot path.line[d*=L]").first).to_be_attached()
    picture("events")
    context.close()
