"""A model's own chat template: which it is, how it takes a conversation, what it writes."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.vocabulary import Vocabulary
from . import pictures
from .calls import KEY, NAME, NUMBER, SAID, VALUES, Calls, calling, learn
from .conversation import Conversation, Traits
from .easier import easier
from .generic import without_tools
from .implied import implied
from .marks import Controls, Private, mark
from .reasoning import thoughts
from .renderer import Renderer, TemplateFailure, TemplateRefusal
from .sources import DEFAULT
from .tokens import runs, tokenize

MOST_CHARACTERS = 1 << 20
"""Of a template."""
_FOR_TOOLS, _FOR_DOCUMENTS = "tool_use", "rag"
_NINE = re.compile(r"length\s*!=\s*9\b")
"""How Mistral's templates insist on ids of nine characters."""
_TAIL = 64
_SETTINGS = ("enable_thinking", "reasoning_effort")
"""What requests say by names of their own of a template."""


@dataclass(frozen=True)
class Written:
    """What a template wrote: ``text``, whose characters at ``typed`` are no control token's.

    ``pictures`` are files' contents by the character of the text that stands for each.
    """

    text: str
    typed: frozenset[int]
    pictures: Mapping[str, bytes]

    @property
    def tail(self) -> str:
        """The end of the text, where the answer begins."""
        return self.text[-_TAIL:]

    def tokens(self, vocabulary: Vocabulary) -> list[int]:
        """The tokens of a text without pictures."""
        return tokenize(vocabulary, self.text, self.typed)

    def parts(self, vocabulary: Vocabulary) -> tuple[list[list[tuple[bytes, bool]]], list[bytes]]:
        """The texts around the pictures, one more than those, and the pictures' files.

        Each text is in runs, with whether names of control tokens are tokens in it.
        """
        texts: list[list[tuple[bytes, bool]]] = []
        files: list[bytes] = []
        begun = self._added(vocabulary)
        for at, character in enumerate(self.text + "\0"):
            if character in self.pictures or at == len(self.text):
                typed = frozenset(index - begun for index in self.typed if begun <= index < at)
                texts.append(runs(vocabulary, self.text[begun:at], typed))
                begun = at + 1
                files += [self.pictures[character]] if character in self.pictures else []
        return texts, files

    def _added(self, vocabulary: Vocabulary) -> int:
        """Characters at the start that are added again with pictures."""
        name = vocabulary.names.get("bos_token", "") if vocabulary.frame[0] else ""
        return len(name) if self.text.startswith(name) and 0 not in self.typed else 0


class NoTemplate(GgmlError):
    """A model without a chat template was asked for its own."""


class ChatTemplate:
    """The templates ``given`` by name, for a model with ``vocabulary``.

    Raises BrokenTemplate for one that cannot be used, when it is tried.
    """

    def __init__(
        self, given: Mapping[str, str], vocabulary: Vocabulary, renderer: Renderer
    ) -> None:
        self._sources = dict(given)
        self._vocabulary = vocabulary
        self._renderer = renderer
        self._traits: dict[str, Traits] = {}
        self._abilities: dict[str, object] | None = None
        for name, source in self._sources.items():
            if len(source) > MOST_CHARACTERS:
                raise GgmlError(
                    NnErrno.INVALID_ARGUMENT,
                    f"the chat template {name!r} has {len(source)} characters, more than"
                    f" {MOST_CHARACTERS}",
                )

    def write(self, conversation: Conversation) -> Written:
        """The prompt of ``conversation``, up to where the model goes on.

        One that the template refuses is written as templates take it that take less (``easier``).
        Raises GgmlError (INVALID_ARGUMENT): TemplateRefusal with the template's own words,
        TemplateFailure, or for a conversation that cannot be used with any template.
        """
        messages, taken = pictures.take(conversation.messages)
        private = Private([messages, conversation.tools, conversation.documents])
        files = {}
        for place, file in taken:
            place["text"] = private.draw()
            files[place["text"]] = file
        try:
            return self._written(replace(conversation, messages=messages), private, files)
        except TemplateRefusal:
            eased = easier(messages, system=self.traits(self._choose(conversation)).system)
            if eased == messages:
                raise
            with suppress(TemplateRefusal):
                return self._written(replace(conversation, messages=eased), private, files)
            raise

    def _written(
        self, conversation: Conversation, private: Private, files: Mapping[str, bytes]
    ) -> Written:
        name = self._choose(conversation)
        traits = self.traits(name)
        if _has_tools(conversation) and not traits.tools:
            conversation = without_tools(conversation, system=traits.system)
        end = private.draw() if conversation.continue_final_message else ""
        values = conversation.values(traits)
        if end:
            _append(values["messages"][-1], end)
        marked = mark(values, self._controls, private)
        text = self._render(name, marked.values)
        if end:
            text, found, _ = text.rpartition(end)
            if not found:
                _leaves_out("the message that is to be continued")
        text, typed = marked.restore(text)
        if any(place not in text for place in files):
            _leaves_out("a picture")
        return Written(text, typed, files)

    def traits(self, name: str = "") -> Traits:
        """How the template ``name``, or the one for tools, takes a conversation."""
        name = name or self._choose(Conversation([], tools=[_TOOL]))
        if name not in self._traits:
            self._traits[name] = self._find(name)
        return self._traits[name]

    def abilities(self) -> dict[str, object]:
        """What a guest is told of the template. Raises BrokenTemplate if it cannot be used.

        ``tools``: whether it writes tools, which are told in words where it does not; ``calls``:
        how the model writes calls (``Calls``); ``reads``: settings of its own that it knows;
        ``think``: the tags around reasoning; ``keep``: control tokens among all those; ``stops``:
        the names of tokens that end an answer.
        """
        if self._abilities is None:
            self._abilities = self._find_abilities()
        return self._abilities

    def _find_abilities(self) -> dict[str, object]:
        name = self._choose(Conversation([], tools=[_TOOL]))
        calls = self.calls(name) if self.traits(name).tools else None
        think = thoughts(self._sources[name])
        sources = "\n".join(self._sources.values())
        marks = [*think, *(calls.as_dict().values() if calls else ())]
        return {
            "tools": self.traits(name).tools,
            "calls": calls.as_dict() if calls else {},
            "think": list(think),
            "keep": [name for name in self._tokens if any(name in mark for mark in marks)],
            "stops": self._stops(self._choose(Conversation([]))),
            "reads": [each for each in _SETTINGS if re.search(rf"\b{each}\b", sources)],
        }

    def calls(self, name: str = DEFAULT) -> Calls | None:
        """How the model of the template ``name`` writes calls, None where that cannot be told."""

        def write(messages: list[dict[str, Any]], cue: bool) -> str:
            traits = self.traits(name)
            return self._trial(name, traits, messages, tools=[_TOOL], add_generation_prompt=cue)

        return learn(self._sources[name], write, " ".join(self._tokens))

    @property
    def _tokens(self) -> list[str]:
        return [each.name for each in self._vocabulary.specials if each.control and each.name]

    def _stops(self, name: str) -> list[str]:
        """The control token that the template writes behind an answer, if it does."""
        said = {"role": "assistant", "content": SAID}
        user = {"role": "user", "content": "-"}
        wrote = self._trial(name, self.traits(name), [user, said], add_generation_prompt=False)
        rest = wrote.rpartition(SAID)[2].lstrip()
        return [name for name in self._tokens if rest.startswith(name)][:1]

    def _choose(self, conversation: Conversation) -> str:
        for name, wanted in (
            (_FOR_TOOLS, conversation.tools),
            (_FOR_DOCUMENTS, conversation.documents),
        ):
            if wanted and name in self._sources:
                return name
        if DEFAULT in self._sources:
            return DEFAULT
        return next(iter(self._sources))

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        source = self._sources[name]
        return self._renderer.render(source, {**self._names, **implied(source, values), **values})

    @cached_property
    def _names(self) -> dict[str, str]:
        return self._vocabulary.names

    @cached_property
    def _controls(self) -> Controls:
        return Controls(self._tokens)

    def _find(self, name: str) -> Traits:
        source = self._sources[name]
        traits = Traits(
            short_ids=bool(_NINE.search(source)),
            roles=frozenset(role for role in ("developer", "function") if role in source),
        )
        wrote = self._trial(name, traits, [_USER], tools=[_TOOL])
        typed = replace(traits, typed=True)
        if SAID not in wrote and SAID in (
            other := self._trial(name, typed, [_USER], tools=[_TOOL])
        ):
            traits, wrote = typed, other
        called = self._trial(name, traits, [_USER, _CALL, _RESULT], tools=[_TOOL])
        if VALUES[0] not in called or f"'{KEY}': '{VALUES[0]}'" in called:
            text = replace(traits, text_arguments=True)
            other = self._trial(name, text, [_USER, _CALL, _RESULT], tools=[_TOOL])
            traits = text if VALUES[0] in other else traits
        rules = self._trial(name, traits, [{"role": "system", "content": _RULE}, _USER])
        return replace(traits, tools=NAME in wrote, system=_RULE in rules)

    def _trial(self, name: str, traits: Traits, messages: list[Any], **more: Any) -> str:
        """What the template writes of ``messages``, "" if it does not take them."""
        values = Conversation(messages, **more).values(traits)
        try:
            return self._render(name, values)
        except (TemplateRefusal, TemplateFailure):
            return ""


_RULE = "zqx-rule"
_USER = {"role": "user", "content": SAID}
_TOOL = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "A trial.",
        "parameters": {
            "type": "object",
            "properties": {
                KEY: {"type": "string", "description": "A value."},
                NUMBER: {"type": "integer", "description": "A number."},
            },
            "required": [KEY],
        },
    },
}
_CALL = calling(VALUES[0])
_RESULT = {"role": "tool", "name": NAME, "tool_call_id": "call00000", "content": "done"}


def _has_tools(conversation: Conversation) -> bool:
    return bool(conversation.tools) or any(
        message.get("tool_calls") or message["role"] in ("tool", "function")
        for message in conversation.messages
    )


def _append(message: dict[str, Any], end: str) -> None:
    content = message["content"]
    if isinstance(content, str):
        message["content"] = content + end
    else:
        message["content"] = [*content, {"type": "text", "text": end}]


def _leaves_out(what: str) -> NoReturn:
    raise TemplateFailure(NnErrno.INVALID_ARGUMENT, f"the chat template leaves out {what}")
