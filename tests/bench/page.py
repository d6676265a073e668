"""The web page in chromium: bytes, first paint, and frames while 500 messages scroll."""

import shutil
import statistics
from typing import Any

from playwright.sync_api import Page, sync_playwright
from report import Report
from server import Server

MESSAGES = 500
PAINT = """new Promise((resolve) => new PerformanceObserver((list) =>
    resolve(list.getEntriesByName("first-contentful-paint")[0]?.startTime))
    .observe({type: "paint", buffered: true}))"""
LONG = """(count) => {
    const messages = Array.from({length: count}, (_, at) => ({
        id: `m${at}`, parent: at ? `m${at - 1}` : null, role: at % 2 ? "assistant" : "user",
        created: at + 1, content: `Message ${at}. ` + "Some **words** of it. ".repeat(at % 30 + 1),
    }));
    const file = {format: "llamaedge-conversations", conversations: [
        {title: "Long", leaf: `m${count - 1}`, messages}]};
    const data = new DataTransfer();
    data.items.add(new File([JSON.stringify(file)], "long.json"));
    const input = document.querySelector("[aria-label='Conversations to import']");
    input.files = data.files;
    input.dispatchEvent(new Event("change"));
}"""
FRAMES = """new Promise((resolve) => {
    const messages = document.getElementById("messages");
    const gaps = [];
    let last = performance.now();
    const step = (now) => {
        gaps.push(now - last);
        last = now;
        messages.scrollTop -= 60;
        if (gaps.length < 300) requestAnimationFrame(step); else resolve(gaps.slice(1));
    };
    requestAnimationFrame(step);
})"""


def measure(report: Report, rounds: int) -> None:
    path = shutil.which("chromium")
    if path is None:
        return
    with Server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(rounds):
            context = browser.new_context(bypass_csp=True)
            page = context.new_page()
            _load(report, page, server.url)
            _scroll(report, page)
            context.close()
        browser.close()


def _load(report: Report, page: Page, url: str) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda each: sizes.append(each["encodedDataLength"]))
    page.goto(url, wait_until="networkidle")
    report.add("transferred", sum(sizes) / 1000, "kB")
    report.add("first paint, nothing cached", page.evaluate(PAINT), "ms")


def _scroll(report: Report, page: Page) -> None:
    page.evaluate(LONG, MESSAGES)
    page.wait_for_function(f"document.querySelectorAll('article').length === {MESSAGES}")
    gaps: list[Any] = page.evaluate(FRAMES)
    report.add("frames a second, 500 messages", 1000 / statistics.mean(gaps), "")
    report.add("longest of 299 frames", max(gaps), "ms")
