"""A chat on the page, with the real model."""

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from .conftest import answers, ask, question, wait_answered

LONG = "Write a long story about a river."


def set_longest(page: Page, tokens: int) -> None:
    page.get_by_role("button", name="Settings of this conversation").click()
    page.get_by_label("Longest answer").fill(str(tokens))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_first_visit_explains_itself_and_an_example_is_answered(page: Page) -> None:
    expect(page.get_by_text("kept in this browser and nowhere else")).to_be_visible()
    examples = page.get_by_role("list", name="Examples").get_by_role("button")
    expect(examples).to_have_count(3)
    examples.first.click()
    answer = wait_answered(page)
    assert len(answer.locator(".body").inner_text()) > 20
    expect(answer).to_contain_text(re.compile(r"\d tokens/s · first after [\d.]+ s · \d+ token"))
    expect(page.get_by_label(re.compile(r"Context: \d+ of 2,048 tokens"))).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("why the sky is blue")


def test_an_answer_is_stopped_and_continued(page: Page) -> None:
    set_longest(page, 1500)
    ask(page, LONG)
    expect(answers(page).locator(".body")).not_to_be_empty()
    page.get_by_role("button", name="Stop the answer").click()
    answer = wait_answered(page)
    stopped = page.evaluate("document.querySelector('.message.assistant .body').innerText").strip()
    assert stopped
    set_longest(page, 12)
    with page.expect_request("**/v1/chat/completions") as request:
        answer.get_by_role("button", name="Continue").click()
    sent = request.value.post_data_json
    assert sent["continue_final_message"] is True
    assert sent["messages"][-1]["role"] == "assistant"
    expect(answer).to_have_attribute("aria-busy", "false")
    expect(answer).to_contain_text("reached its length limit")
    expect(answer.locator(".body")).not_to_have_text(stopped)
    text = answer.locator(".body").inner_text().strip()
    assert len(text) > len(stopped)
    assert text.startswith(stopped[:10])


def test_escape_stops(page: Page) -> None:
    set_longest(page, 1500)
    ask(page, LONG)
    expect(answers(page).locator(".body")).not_to_be_empty()
    page.keyboard.press("Escape")
    expect(wait_answered(page).get_by_role("button", name="Continue")).to_be_visible()


def test_a_question_that_is_written_meanwhile_stops_nothing(page: Page) -> None:
    set_longest(page, 1500)
    ask(page, LONG)
    expect(answers(page).locator(".body")).not_to_be_empty()
    question(page).press("Enter")
    ask(page, "And a lake?")
    expect(page.get_by_text("The answer is still coming")).to_be_visible()
    expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    expect(question(page)).to_have_value("And a lake?")
    page.keyboard.press("Escape")
    wait_answered(page)
    set_longest(page, 4)
    question(page).press("Enter")
    wait_answered(page, 2)


def test_an_answer_has_versions(page: Page) -> None:
    ask(page, "Say hello.")
    first = wait_answered(page).locator(".body").inner_text()
    with page.expect_response("**/v1/chat/completions"):
        answers(page).get_by_role("button", name="Answer again").click()
    answer = wait_answered(page)
    expect(answer).to_contain_text("2 of 2")
    answer.get_by_role("button", name="Earlier version").click()
    expect(answers(page)).to_contain_text("1 of 2")
    expect(answers(page).locator(".body")).to_have_text(first)


def test_a_question_is_edited_and_sent_again(page: Page) -> None:
    ask(page, "Say hello.")
    wait_answered(page)
    asked = page.get_by_role("article", name="You")
    asked.hover()
    asked.get_by_role("button", name="Edit and send again").click()
    field = page.get_by_role("textbox", name="Your question")
    expect(field).to_be_focused()
    field.fill("Say goodbye.")
    page.keyboard.press("Enter")
    wait_answered(page)
    expect(asked.locator(".body")).to_have_text("Say goodbye.")
    asked.get_by_role("button", name="Earlier version").click()
    expect(asked.locator(".body")).to_have_text("Say hello.")
    question(page).focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()


def test_a_conversation_branches_and_a_reload_keeps_it(page: Page) -> None:
    ask(page, "Say hello.")
    answer = wait_answered(page)
    said = answer.locator(".body").inner_text()
    answer.get_by_role("button", name="New conversation from here").click()
    listed = page.get_by_role("navigation", name="All conversations").get_by_role("listitem")
    expect(listed).to_have_count(2)
    expect(page.get_by_role("heading", level=1)).to_have_text("Say hello. (branch)")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Say hello. (branch)")
    expect(answers(page).locator(".body")).to_have_text(said)
    expect(listed).to_have_count(2)


def test_messages_and_code_are_copied(page: Page) -> None:
    ask(page, "Write a Python function that adds two numbers. Answer with code only.")
    answer = wait_answered(page)
    answer.get_by_role("button", name="Copy", exact=True).click()
    whole = page.evaluate("navigator.clipboard.readText()")
    assert whole.startswith("```python")
    answer.get_by_role("button", name="Copy the code").first.click()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.strip()
    assert code.strip() in whole
    assert "```" not in code


def test_a_page_over_plain_http_copies_too(page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.reload()
    ask(page, "Say hello.")
    answer = wait_answered(page)
    page.get_by_role("article", name="You").hover()
    page.get_by_role("article", name="You").get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(answer).to_be_visible()
    question(page).focus()
    page.keyboard.press("Control+v")
    expect(question(page)).to_have_value("Say hello.")


def test_conversations_are_searched_renamed_pinned_and_deleted(page: Page) -> None:
    listed = page.get_by_role("navigation", name="All conversations")
    for text in ("Say one.", "Say two."):
        page.get_by_role("button", name="New conversation", exact=True).click()
        ask(page, text)
        wait_answered(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("two")
    expect(listed.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("searchbox").fill("nothing has this")
    expect(listed).to_contain_text("Nothing has these words.")
    page.get_by_role("searchbox").fill("")
    listed.get_by_role("button", name="More for Say one.").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_label("Title").fill("First")
    page.keyboard.press("Enter")
    listed.get_by_role("button", name="More for First").click()
    page.get_by_role("menuitem", name="Pin").click()
    expect(listed.get_by_role("region", name="Pinned")).to_contain_text("First")
    listed.get_by_role("button", name="More for First").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(listed.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(listed.get_by_role("listitem")).to_have_count(2)
    page.reload()
    expect(listed.get_by_role("region", name="Pinned")).to_contain_text("First")


def test_conversations_go_out_and_come_in(page: Page, tmp_path: Path) -> None:
    ask(page, "Say hello.")
    said = wait_answered(page).locator(".body").inner_text()
    more = page.get_by_role("button", name="More for Say hello.")
    for kind, name in (("JSON", "Say-hello.json"), ("Markdown", "Say-hello.md")):
        more.click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=f"Export as {kind}").click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    data = json.loads((tmp_path / "Say-hello.json").read_text())
    [conversation] = data["conversations"]
    assert [each["role"] for each in conversation["messages"]] == ["user", "assistant"]
    assert "## You\n\nSay hello.\n" in (tmp_path / "Say-hello.md").read_text()
    conversation["messages"][1]["html"] = "<p>never shown</p>"
    (tmp_path / "Say-hello.json").write_text(json.dumps(data))
    for count, name in enumerate(("Say-hello.json", "Say-hello.md"), 2):
        page.get_by_label("Conversations to import").set_input_files(tmp_path / name)
        listed = page.get_by_role("navigation", name="All conversations").get_by_role("listitem")
        expect(listed).to_have_count(count)
        expect(answers(page).locator(".body")).to_have_text(said)
    page.get_by_label("Conversations to import").set_input_files(
        {"name": "a.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    expect(page.get_by_text("has no conversations of this page")).to_be_visible()


def test_settings_and_presets_are_what_is_asked_with(page: Page) -> None:
    page.get_by_role("button", name="Settings of this conversation").click()
    page.get_by_label("System prompt").fill("You are a pirate.")
    page.get_by_label("Temperature").fill("3")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Longest answer").fill("8")
    page.get_by_role("button", name="Save as a preset").click()
    page.get_by_label("Name", exact=True).fill("Pirate")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Preset", exact=True)).to_have_value("Pirate")
    page.get_by_role("button", name="Save", exact=True).click()
    with page.expect_request("**/v1/chat/completions") as request:
        ask(page, "Say hello.")
    sent = request.value.post_data_json
    assert sent["messages"][0] == {"role": "system", "content": "You are a pirate."}
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 7, 8)
    assert wait_answered(page).locator(".body").inner_text()
    page.get_by_role("button", name="New conversation", exact=True).click()
    page.get_by_role("button", name="Settings of this conversation").click()
    expect(page.get_by_label("System prompt")).to_have_value("")
    page.get_by_label("Preset", exact=True).select_option("Pirate")
    expect(page.get_by_label("System prompt")).to_have_value("You are a pirate.")


def test_what_the_server_does_is_shown(page: Page) -> None:
    ask(page, "Say hello.")
    wait_answered(page)
    page.get_by_role("button", name="What the server does now").click()
    expect(page.get_by_role("img", name=re.compile("Tokens made a second: .* now"))).to_be_visible()
    made = page.locator(".totals div", has_text="Tokens made").locator("dd")
    expect(made).not_to_have_text("0")


def test_all_of_it_goes_by_keyboard(page: Page) -> None:
    page.keyboard.type("Say hello.")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Please.")
    expect(question(page)).to_have_value("Say hello.\nPlease.")
    page.keyboard.press("Enter")
    wait_answered(page)
    page.keyboard.press("Control+,")
    expect(page.get_by_role("dialog", name="Settings of this conversation")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Ctrl+K")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Keys")).to_be_focused()
    page.keyboard.press("/")
    expect(question(page)).to_be_focused()
    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    more = page.get_by_role("button", name="More for Say hello.")
    more.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()
    page.evaluate("document.activeElement.blur(); document.body.focus()")
    page.reload()
    page.keyboard.press("Shift+Tab")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
            " || document.activeElement.id"
        )
        reached.add(name)
        on_page = page.evaluate("document.activeElement !== document.body")
        assert not on_page or page.evaluate("document.activeElement.matches(':focus-visible')")
    assert {"Settings of this conversation", "Models", "Attach files", "Send", "Keys"} <= reached


def test_colours_are_the_systems_or_chosen(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    assert light != dark
    page.get_by_role("button", name="Colours: as the system has it").click()
    assert page.evaluate(paper) == light
    page.reload()
    expect(page.get_by_role("button", name="Colours: light")).to_be_visible()
    assert page.evaluate(paper) == light
