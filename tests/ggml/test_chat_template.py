"""Chat templates write what transformers makes of them, and a user's text stays text."""

import copy
import datetime
import json
import time
from typing import Any

import pytest
from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from llamaedge_host.ggml.chat import implied
from llamaedge_host.ggml.chat.conversation import Conversation
from llamaedge_host.ggml.chat.easier import easier
from llamaedge_host.ggml.chat.renderer import Renderer, TemplateFailure, TemplateRefusal
from llamaedge_host.ggml.chat.sources import sources
from llamaedge_host.ggml.chat.template import ChatTemplate
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.ggml.llama.vocabulary import Vocabulary

from . import published

NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather <now> & "later"',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "A city, é"},
                "days": {"type": "integer", "enum": [1, 2]},
            },
            "required": ["city"],
        },
    },
}
SYSTEM = {"role": "system", "content": "You are terse."}
USER = {"role": "user", "content": "What is the weather in Zürich? <b>&amp;'\"</b>"}
ANSWER = {"role": "assistant", "content": "It rains.\n"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "abcdefghi",
            "type": "function",
            "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}},
        }
    ],
}
RESULT = {
    "role": "tool",
    "tool_call_id": "abcdefghi",
    "name": "get_weather",
    "content": '{"rain": true}',
}
THOUGHT = {"reasoning_content": "They want rain."}
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [USER]},
    "a system's turn": {"messages": [SYSTEM, USER]},
    "several turns": {"messages": [SYSTEM, USER, ANSWER, USER, ANSWER, USER]},
    "no answer to begin": {"messages": [USER, ANSWER], "add_generation_prompt": False},
    "tools": {"messages": [SYSTEM, USER], "tools": [WEATHER]},
    "a tool's result": {"messages": [USER, CALL, RESULT], "tools": [WEATHER]},
    "calls and turns": {"messages": [USER, CALL, RESULT, ANSWER, USER], "tools": [WEATHER]},
    "reasoning": {"messages": [USER, {**ANSWER, **THOUGHT}, USER]},
    "reasoning before a call": {
        "messages": [USER, {**CALL, **THOUGHT}, RESULT],
        "tools": [WEATHER],
    },
    "no reasoning wanted": {"messages": [USER], "chat_template_kwargs": {"enable_thinking": False}},
    "a picture": {
        "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}
        ]
    },
    "documents": {"messages": [USER], "documents": [{"title": "Rain", "text": "It rains."}]},
}


class Plain(Vocabulary):
    """A vocabulary without control tokens, which a template is told of all the same."""

    names = NAMES
    specials = ()

    def __init__(self) -> None:
        pass


@pytest.fixture(scope="module")
def templates(request: pytest.FixtureRequest) -> dict[str, str]:
    return published.templates(request.config.cache)


def referee(source: str, conversation: dict[str, Any], *, text_arguments: bool) -> str | None:
    """What transformers makes of ``conversation``, None if the template does not take it."""
    given = copy.deepcopy(conversation)
    if text_arguments:
        for call in (call for each in given["messages"] for call in each.get("tool_calls", ())):
            function = call["function"]
            function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)
    try:
        [text], _ = render_jinja_template(
            [given["messages"]],
            tools=given.get("tools"),
            documents=given.get("documents"),
            chat_template=source,
            add_generation_prompt=given.get("add_generation_prompt", True),
            **NAMES,
            **implied.implied(source, {"tools": given.get("tools")}),
            **given.get("chat_template_kwargs", {}),
        )
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
        return None
    return str(text)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that templates are told of stands."""
    layouts = {name: layout for name, (layout, _) in implied._TIMES.items()}
    noon = time.gmtime(1764158400)  # 2025-11-26 12:00 GMT
    monkeypatch.setattr(implied, "_TIMES", {n: (each, lambda: noon) for n, each in layouts.items()})


@pytest.mark.timeout(900)
def test_all_published_templates_are_had(templates: dict[str, str]) -> None:
    assert len(templates) >= published.COUNT


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_templates_write_what_transformers_writes(
    templates: dict[str, str], renderer: Renderer, name: str
) -> None:
    written = 0
    for model, source in templates.items():
        template = ChatTemplate({"default": source}, Plain(), renderer)
        if "tools" in CONVERSATIONS[name] and not template.traits().tools:
            continue
        day = datetime.date.today()
        traits, given = template.traits(), CONVERSATIONS[name]
        expected = referee(source, given, text_arguments=traits.text_arguments)
        if expected is None:
            eased = easier(given["messages"], system=traits.system)
            easy = {**given, "messages": eased}
            expected = referee(source, easy, text_arguments=traits.text_arguments)
        try:
            text = template.write(Conversation.parse(CONVERSATIONS[name])).text
        except (TemplateRefusal, TemplateFailure):
            assert expected is None, f"{model} was refused"
        else:
            assert text == expected or day != datetime.date.today(), model
            written += 1
    assert written > len(templates) // 2


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize(
    ("source", "given", "text"),
    [
        ("{% if not date_string is defined %}old{% else %}{{ date_string }}{% endif %}", {}, None),
        ("{{ date_string }}", {"date_string": "today"}, "today"),
        ("{{ datetime }}", {}, "Nov 26 2025 12:00:00 GMT"),
        ("{{ '-' + functions }}", {}, "-"),
        ("{{ functions | default('none') }}", {}, "none"),
    ],
)
def test_a_template_is_told_the_time_and_its_functions(
    renderer: Renderer, source: str, given: dict[str, Any], text: str | None
) -> None:
    template = ChatTemplate({"default": source}, Plain(), renderer)
    conversation = {"messages": [USER], "chat_template_kwargs": given}
    assert template.write(Conversation.parse(conversation)).text == (text or "26 Nov 2025")


def test_functions_are_told_as_text(renderer: Renderer) -> None:
    template = ChatTemplate({"default": "{{ '-' + functions }}"}, Plain(), renderer)
    written = template.write(Conversation.parse({"messages": [USER], "tools": [WEATHER]})).text
    assert json.loads(written.removeprefix("-"))[0]["function"]["name"] == "get_weather"


def test_named_templates_are_found() -> None:
    metadata = {
        "tokenizer.chat_template": "a",
        "tokenizer.chat_template.tool_use": "b",
        "tokenizer.chat_templates": ["tool_use"],
        "tokenizer.ggml.model": "gpt2",
    }
    assert sources(metadata) == {"default": "a", "tool_use": "b"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [({}, "default"), ({"tools": [WEATHER]}, "tool_use"), ({"documents": [{"text": "a"}]}, "rag")],
)
def test_the_template_is_the_one_for_what_is_given(
    renderer: Renderer, more: dict[str, Any], expected: str
) -> None:
    names = ("default", "tool_use", "rag")
    template = ChatTemplate({name: name for name in names}, Plain(), renderer)
    conversation = Conversation.parse({"messages": [USER], **more})
    assert template.write(conversation).text == expected


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_the_last_message_is_continued(renderer: Renderer) -> None:
    template = ChatTemplate({"default": CHATML}, Plain(), renderer)
    begun = {"role": "assistant", "content": "It rains and "}
    conversation = {"messages": [USER, begun], "continue_final_message": True}
    text = template.write(Conversation.parse(conversation)).text
    assert text.endswith("<|im_start|>assistant\nIt rains and ")


STRICT = (
    "{% for m in messages %}"
    "{% if m.role == 'system' and not loop.first %}{{ raise_exception('First.') }}{% endif %}"
    "{% if not loop.first and m.role == loop.previtem.role %}"
    "{{ raise_exception('Roles must alternate.') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{% endfor %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('None.') }}{% endif %}" + STRICT
)


def turns(*said: str) -> list[dict[str, Any]]:
    """Turns as "role: text"."""
    pairs = (each.split(": ") for each in said)
    return [{"role": role, "content": text} for role, text in pairs]


@pytest.mark.parametrize(
    ("source", "said", "text"),
    [
        (STRICT, ("system: a", "user: b"), "<system>a<user>b"),
        (STRICT, ("system: a", "developer: b", "user: c"), "<system>a\n\nb<user>c"),
        (STRICT, ("user: a", "user: b"), "<user>a\n\nb"),
        (
            STRICT,
            ("system: a", "user: b", "assistant: c", "system: d", "user: e"),
            "<system>a<user>b<assistant>c<user>d\n\ne",
        ),
        (STRICT, ("user: a", "assistant: b", "system: c"), "<user>a<assistant>b<user>c"),
        (NO_SYSTEM, ("system: a", "user: b"), "<user>a\n\nb"),
        (NO_SYSTEM, ("system: a", "system: b"), "<user>a\n\nb"),
        (CHATML, ("user: a", "system: b"), CHATML),
    ],
)
def test_what_a_strict_template_refuses_is_written_as_it_takes_it(
    renderer: Renderer, source: str, said: tuple[str, ...], text: str
) -> None:
    template = ChatTemplate({"default": source}, Plain(), renderer)
    written = template.write(Conversation.parse({"messages": turns(*said)})).text
    if text == CHATML:  # which refuses nothing
        said_so = "<|im_start|>user\na<|im_end|>\n<|im_start|>system\nb<|im_end|>\n"
        text = f"{said_so}<|im_start|>assistant\n"
    assert written == text


def test_parts_of_turns_that_become_one_stay_parts(renderer: Renderer) -> None:
    one = "{% if messages | length > 1 %}{{ raise_exception('One.') }}{% endif %}"
    template = ChatTemplate({"default": one + "{{ messages | tojson }}"}, Plain(), renderer)
    picture = {"type": "image", "name": "p"}
    messages = [{"role": "user", "content": [picture]}, {"role": "user", "content": "b"}]
    written = template.write(Conversation.parse({"messages": messages})).text
    assert json.loads(written)[0]["content"] == [picture, {"type": "text", "text": "b"}]


def test_what_cannot_be_taken_otherwise_is_refused_in_the_templates_words(
    renderer: Renderer,
) -> None:
    template = ChatTemplate({"default": STRICT}, Plain(), renderer)
    said = turns("user: a", "assistant: b", "assistant: c", "system: d")
    with pytest.raises(TemplateRefusal, match="Roles must alternate"):
        template.write(Conversation.parse({"messages": said}))


def test_the_settings_that_a_template_knows_are_told(renderer: Renderer) -> None:
    for source, known in (
        (CHATML, []),
        (CHATML + "{{ enable_thinking }}", ["enable_thinking"]),
        (CHATML + "{{ reasoning_effort }}{{ my_enable_thinking }}", ["reasoning_effort"]),
    ):
        assert ChatTemplate({"default": source}, Plain(), renderer).abilities()["reads"] == known


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "not a JSON object"),
        ({}, "messages is empty"),
        ({"messages": ["a"]}, "messages is not a list of objects"),
        ({"messages": [{"role": "user|>", "content": ""}]}, r"role of messages\[0\]"),
        ({"messages": [USER], "tools": {}, "chat_template_kwargs": 1}, "chat_template_kwargs"),
        ({"messages": [USER], "chat_template_kwargs": {"messages": []}}, "sets messages"),
        ({"messages": [USER], "continue_final_message": True}, "continue_final_message needs"),
        ({"messages": [{**CALL, "tool_calls": [{}]}]}, "no function with a name"),
        (
            {"messages": [{**CALL, "tool_calls": [{"function": {"name": "a", "arguments": "["}}]}]},
            "are not JSON",
        ),
    ],
)
def test_a_conversation_that_cannot_be_used_is_refused_by_name(
    renderer: Renderer, document: object, why: str
) -> None:
    template = ChatTemplate({"default": CHATML}, Plain(), renderer)
    with pytest.raises(GgmlError, match=why):
        template.write(Conversation.parse(document))


@pytest.mark.parametrize("arguments", ["", None, "{}", {}])
def test_a_call_without_arguments_is_one(renderer: Renderer, arguments: object) -> None:
    calls = "{{ tools[0].function.name if tools }}{{ (messages[0].tool_calls or []) | tojson }}"
    template = ChatTemplate({"default": calls}, Plain(), renderer)
    call = {"id": "a", "function": {"name": "now", "arguments": arguments}}
    written = template.write(
        Conversation.parse({"messages": [{"role": "assistant", "tool_calls": [call]}]})
    )
    assert json.loads(written.text)[0]["function"]["arguments"] == {}


def test_ids_are_as_long_as_a_template_insists(
    renderer: Renderer, templates: dict[str, str]
) -> None:
    source = templates["mistralai-Mistral-Nemo-Instruct-2407"]
    template = ChatTemplate({"default": source}, Plain(), renderer)
    call = {**CALL["tool_calls"][0], "id": "call_0123456789ab"}
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {**RESULT, "tool_call_id": "call_0123456789ab"},
    ]
    written = template.write(Conversation.parse({"messages": messages, "tools": [WEATHER]}))
    assert written.text.count("call_0123456789ab") == 0


@pytest.mark.parametrize("takes_system", [True, False])
def test_a_template_without_tools_is_told_of_them_in_words(
    renderer: Renderer, takes_system: bool
) -> None:
    refusal = "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    loop = "{% for m in messages %}" + ("" if takes_system else refusal)
    source = loop + "[{{ m.role }}: {{ m.content }}]{% endfor %}"
    template = ChatTemplate({"default": source}, Plain(), renderer)
    messages = [SYSTEM, USER, CALL, RESULT] if takes_system else [USER, CALL, RESULT]
    text = template.write(Conversation.parse({"messages": messages, "tools": [WEATHER]})).text
    turns = text[1:-1].split("][")
    told = turns[0]
    assert json.dumps(WEATHER["function"], ensure_ascii=False) in told
    assert told.startswith("system: You are terse.\n" if takes_system else "user: ")
    assert turns[-2] == (
        'assistant: {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}}'
    )
    assert turns[-1] == 'user: get_weather gave:\n{"rain": true}'
    assert len(turns) == len(messages)
