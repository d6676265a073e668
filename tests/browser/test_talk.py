"""What the page makes of answers, failures and models that a script gives for the server."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from launcher.pdf import pdf
from playwright.sync_api import Page, Route, expect

from .conftest import Problems, answers, ask, script, stream, wait_answered

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
    "7753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def model(name: str, **more: Any) -> dict[str, Any]:
    """A MODEL of /api/models."""
    return {
        "name": name, "id": name, "status": "ready", "message": None, "size": 5_000_000,
        "architecture": "llama", "quantization": "Q4_K_M", "parameters": 1_000_000,
        "context": 2048, "capabilities": ["chat"], "memory": 9_000_000, "default": False,
        "last_used": None, "expires": None, "fetched": False,
    } | more  # fmt: skip


class Models:
    """/api/models with models that are only names; `asked` are the requests that change one."""

    def __init__(self, page: Page, *models: dict[str, Any]) -> None:
        self.models = list(models)
        self.asked: list[tuple[str, Any]] = []
        self.pulled = ""
        page.route(re.compile("/api/models"), self._answer)
        page.reload()

    def _answer(self, route: Route) -> None:
        path = re.sub(".*/api/models", "", route.request.url)
        method = route.request.method
        if method == "GET":
            found = [model("org/found", downloads=1234, likes=5, updated="2026-01-02", gated=True)]
            listed = found if path.startswith("/search") else self.models
            route.fulfill(json={"object": "list", "data": listed})
            return
        body = route.request.post_data_json if method == "POST" else None
        self.asked.append((f"{method} {path}", body))
        if path == "/pull":
            route.fulfill(content_type="text/event-stream", body=self.pulled)
            return
        name = body["model"] if body else ""
        for each in self.models:
            if each["name"] == name:
                each["status"] = "ready" if path == "/load" else "available"
                route.fulfill(json=each)
                return
        if method == "DELETE":
            self.models = self.models[:1]
            route.fulfill(json={"deleted": True})
            return
        error = {"message": "the model does not fit into memory", "code": "insufficient_memory"}
        route.fulfill(status=507, json={"error": error})


def test_reasoning_is_folded_away(page: Page) -> None:
    script(page, stream({"reasoning_content": "Let me "}, {"reasoning_content": "think."},
                        {"content": "Four."}))  # fmt: skip
    ask(page, "Two and two?")
    answer = wait_answered(page)
    expect(answer.locator(".body")).to_have_text("Four.")
    expect(answer.get_by_text("Let me think.")).to_be_hidden()
    answer.get_by_text("Thoughts").click()
    expect(answer.get_by_text("Let me think.")).to_be_visible()


def test_tool_calls_are_shown_and_answered(page: Page) -> None:
    calls = [
        {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": '{"city":'}},
        {"index": 0, "function": {"arguments": ' "Rome"}'}},
    ]
    asked = script(
        page,
        stream(*({"tool_calls": [call]} for call in calls), finish="tool_calls"),
        stream({"content": "It is sunny in Rome."}),
    )
    page.get_by_role("button", name="Settings of this conversation").click()
    page.get_by_label("Tools", exact=True).fill("[")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("not a JSON list")).to_be_visible()
    page.get_by_label("Tools", exact=True).fill(json.dumps(TOOLS))
    page.get_by_role("button", name="Save", exact=True).click()
    ask(page, "How is the weather in Rome?")
    answer = wait_answered(page)
    expect(answer).to_contain_text("The model calls weather")
    expect(answer.get_by_label("Arguments of weather")).to_have_text('{\n "city": "Rome"\n}'
        .replace("\n ", "\n  "))  # fmt: skip
    answer.get_by_label("Result of weather").fill("sunny")
    answer.get_by_role("button", name="Send the result").click()
    expect(wait_answered(page, 2).last.locator(".body")).to_have_text("It is sunny in Rome.")
    assert asked[0]["tools"] == TOOLS
    called, result = asked[1]["messages"][-2:]
    function = called["tool_calls"][0]["function"]
    assert function == {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


def test_a_lost_connection_goes_on_from_what_has_come(page: Page) -> None:
    asked = script(
        page,
        stream({"content": "One, two, "}, finish=None, done=False),
        stream({"content": "three, "}, finish=None, done=False),
        stream({"content": "four."}),
    )
    ask(page, "Count to four.")
    expect(wait_answered(page).locator(".body")).to_have_text("One, two, three, four.")
    assert len(asked) == 3
    assert asked[1]["continue_final_message"] is True
    assert asked[2]["messages"][-1] == {"role": "assistant", "content": "One, two, three, "}


def test_a_server_that_is_gone_is_waited_for(page: Page, problems: Problems) -> None:
    script(page, stream({"content": "Back."}))
    page.route("**/v1/chat/completions", lambda route: route.abort("connectionrefused"), times=1)
    page.route("**/health", lambda route: route.abort("connectionrefused"), times=2)
    ask(page, "Are you there?")
    expect(answers(page)).to_contain_text("The connection was lost. Trying again")
    expect(wait_answered(page).locator(".body")).to_have_text("Back.")
    problems[:] = [each for each in problems if "ERR_CONNECTION_REFUSED" not in each]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, {"message": "the prompt is too long", "code": "context_length_exceeded"},
         "The prompt is too long. Start a new conversation, send less"),
        (404, {"message": "no model 'x'", "code": "model_not_found"}, "Choose another model"),
        (500, {"message": "an error in the server"}, "An error in the server."),
        (418, None, "The server answered 418 and nothing else."),
    ],
)  # fmt: skip
def test_an_error_is_said_in_words_with_what_to_do(
    page: Page, problems: Problems, status: int, error: dict[str, str] | None, words: str
) -> None:
    body = json.dumps({"error": error}) if error else ""
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=status, body=body))
    ask(page, "Hello.")
    expect(wait_answered(page).get_by_role("alert")).to_contain_text(words)
    problems[:] = [each for each in problems if f"status of {status}" not in each]


def test_a_model_is_chosen_and_loaded(page: Page) -> None:
    models = Models(page, model("first", default=True), model("org/second:Q4", status="available"))
    asked = script(page, stream({"content": "Hi."}))
    choice = page.get_by_label("Model", exact=True)
    expect(choice).to_have_value("first")
    choice.select_option("org/second:Q4")
    expect(choice.locator("option:checked")).to_have_text("second:Q4")
    assert models.asked == [("POST /load", {"model": "org/second:Q4"})]
    ask(page, "Hello.")
    wait_answered(page)
    assert asked[0]["model"] == "org/second:Q4"
    page.get_by_role("button", name="New conversation", exact=True).click()
    expect(choice).to_have_value("org/second:Q4")


def test_models_are_found_fetched_loaded_unloaded_and_deleted(
    page: Page, problems: Problems
) -> None:
    models = Models(
        page, model("first", default=True), model("big", status="available", fetched=True),
        model("broken", status="failed", message="it is cut off"),
    )  # fmt: skip
    models.pulled = "".join(
        f"data: {json.dumps(each)}\n\n"
        for each in (
            {"status": "resolving"},
            {"status": "downloading", "completed": 5, "total": 10, "speed": 2},
            {"status": "done", "name": "org/found:Q4_K_M"},
        )
    )
    page.get_by_role("button", name="Models", exact=True).click()
    panel = page.get_by_role("dialog", name="Models")
    expect(panel).to_contain_text("5.0 MB · llama · Q4_K_M · 2,048 tokens of context")
    expect(panel).to_contain_text("9.0 MB in memory")
    expect(panel).to_contain_text("it is cut off")
    panel.get_by_role("button", name="Load big").click()
    expect(panel.get_by_role("button", name="Unload big")).to_be_visible()
    panel.get_by_role("button", name="Unload big").click()
    expect(panel.get_by_role("button", name="Load broken")).to_be_visible()
    expect(panel.get_by_role("button", name="Delete broken")).to_have_count(0)
    panel.get_by_role("button", name="Delete big").click()
    sure = page.get_by_role("dialog", name="Delete the model?")
    sure.get_by_role("button", name="Delete").click()
    expect(panel.get_by_role("button", name="Load big")).to_have_count(0)
    panel.get_by_label("Search for models").fill("found")
    panel.get_by_role("button", name="Search", exact=True).click()
    expect(panel).to_contain_text("1,234 downloads · 5 likes · changed 2026-01-02")
    panel.get_by_role("button", name="Fetch org/found", exact=True).click()
    expect(page.get_by_text("org/found:Q4_K_M is here")).to_be_visible()
    assert models.asked == [
        ("POST /load", {"model": "big"}),
        ("POST /unload", {"model": "big"}),
        ("DELETE /big", None),
        ("POST /pull", {"model": "org/found"}),
    ]
    models.pulled = 'data: {"error": {"message": "the hub has no such file"}}\n\n'
    panel.get_by_role("button", name="Fetch org/found", exact=True).click()
    expect(page.get_by_text("The hub has no such file.")).to_be_visible()


def test_a_picture_goes_to_a_model_that_sees(page: Page) -> None:
    picture = {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}
    page.get_by_label("Files", exact=True).set_input_files(picture)
    expect(page.get_by_text("The model sees no pictures")).to_be_visible()
    Models(page, model("eye", default=True, capabilities=["chat", "vision"]))
    expect(page.get_by_label("Model", exact=True)).to_have_value("eye")
    asked = script(page, stream({"content": "A dot."}))
    page.get_by_label("Files", exact=True).set_input_files(picture)
    expect(page.get_by_role("button", name="Remove dot.png")).to_be_visible()
    ask(page, "What is it?")
    wait_answered(page)
    image, text = asked[0]["messages"][-1]["content"]
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert text == {"type": "text", "text": "What is it?"}
    expect(page.get_by_role("img", name="dot.png")).to_be_visible()


def notes(parts: int) -> bytes:
    """A text of so many paragraphs, one of which has the word that is asked for."""
    words = [f"Paragraph {n} is about ordinary things. " * 12 for n in range(parts)]
    words[parts // 2] += "The secret word is marmalade."
    return "\n\n".join(words).encode()


def test_a_file_is_stored_split_and_its_best_parts_are_shown(page: Page) -> None:
    asked = script(page, stream({"content": "Marmalade."}))
    for name, data, how in (
        ("short.md", b"# Notes\n\nThe secret word is marmalade.", "The whole text goes to"),
        ("long notes.txt", notes(80), "Found by their words"),
        ("a.pdf", pdf("The secret word is marmalade."), "The whole text goes to"),
    ):
        page.get_by_role("button", name="New conversation", exact=True).click()
        page.get_by_label("Files", exact=True).set_input_files(
            {"name": name, "mimeType": "text/plain", "buffer": data}
        )
        expect(page.locator(".attached")).not_to_contain_text("reading")
        ask(page, "What is the secret word?")
        wait_answered(page)
        sent = asked[-1]["messages"][-1]["content"]
        assert "The secret word is marmalade." in sent
        assert sent.endswith("What is the secret word?")
        assert len(sent) < 4000
        question = page.get_by_role("article", name="You")
        expect(question.locator(".body")).to_have_text("What is the secret word?")
        question.get_by_text(re.compile(r"\d excerpts? of")).click()
        expect(question).to_contain_text(how)
        expect(question).to_contain_text(re.compile(rf"{re.escape(name)}, part \d+"))
        expect(question).to_contain_text("The secret word is marmalade.")


def test_a_file_is_searched_by_meaning_where_a_model_embeds(page: Page) -> None:
    Models(page, model("chat", default=True), model("embed", capabilities=["embeddings"]))
    expect(page.get_by_label("Model", exact=True)).to_have_value("chat")
    store = {"id": "vs_1", "status": "completed", "file_counts": {"failed": 0}}
    page.route("**/v1/vector_stores", lambda route: route.fulfill(json=store))
    page.route("**/v1/vector_stores/vs_1", lambda route: route.fulfill(json=store))
    hits = [{"score": 0.875, "content": [{"type": "text", "text": "It is marmalade."}]}]
    page.route("**/v1/vector_stores/vs_1/search", lambda route: route.fulfill(json={"data": hits}))
    asked = script(page, stream({"content": "Marmalade."}))
    page.get_by_label("Files", exact=True).set_input_files(
        {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"It is marmalade."}
    )
    expect(page.locator(".attached")).not_to_contain_text("reading")
    ask(page, "What is it?")
    wait_answered(page)
    assert "It is marmalade." in asked[0]["messages"][-1]["content"]
    question = page.get_by_role("article", name="You")
    question.get_by_text("1 excerpt of notes.md").click()
    expect(question).to_contain_text("Found by meaning")
    expect(question).to_contain_text("notes.md, likeness 0.88")


def test_what_is_no_text_is_refused_and_a_file_is_taken_away(page: Page, tmp_path: Path) -> None:
    files = page.get_by_label("Files", exact=True)
    files.set_input_files({"name": "a.bin", "mimeType": "", "buffer": b"\xff\xfe\x00\xd8"})
    expect(page.get_by_text("a.bin is not a text")).to_be_visible()
    files.set_input_files({"name": "empty.txt", "mimeType": "text/plain", "buffer": b" \n"})
    expect(page.get_by_text("empty.txt holds no text")).to_be_visible()
    with page.expect_response(re.compile("/v1/files$")) as uploaded:
        files.set_input_files({"name": "b.py", "mimeType": "", "buffer": b"print(1)"})
    id_ = uploaded.value.json()["id"]
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Write what you would like to know about it.")).to_be_visible()
    with page.expect_response(re.compile(f"/v1/files/{id_}$")) as deleted:
        page.get_by_role("button", name="Remove b.py").click()
    assert deleted.value.json()["deleted"] is True
    expect(page.locator(".attached")).to_be_hidden()
