"""How a model writes calls of tools, learnt from what its chat template makes of some.

A template writes an assistant's calls as the model was trained to write them. So calls of words
that no template has are written out, and what stands around those words is the format.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any, NamedTuple

from .reasoning import TAGS, USUAL

Write = Callable[[list[dict[str, Any]], bool], str]
"""What a template makes of messages, with the start of an answer or not; "" if nothing."""

SAID, ANSWER, NAME, KEY, NUMBER = "zqx-said", "zqx-answer", "zqx_name", "zqx_key", "zqx_number"
VALUES = ("zqx-value", "zqx-other")
_USER = {"role": "user", "content": SAID}
_ANSWER = {"role": "assistant", "content": ANSWER}
_JSON_NAME = re.compile(r'\{[^{}]*?"\w+"\s*:\s*"$')


@dataclass(frozen=True)
class Calls:
    """``open`` and ``close`` stand around all calls, ``call`` and ``end`` around each.

    ``kind`` is json (an object with a name and arguments), keyed (an object whose key is the
    name), named (a name, ``name``, the arguments as JSON), tagged (a name, ``name``, then each
    argument as ``key`` NAME ``key_end`` ``value`` VALUE ``value_end``), or what one family has:
    harmony, functionary, python, gemma.
    """

    kind: str
    open: str = ""
    close: str = ""
    call: str = ""
    end: str = ""
    name: str = ""
    key: str = ""
    key_end: str = ""
    value: str = ""
    value_end: str = ""

    def as_dict(self) -> dict[str, str]:
        """What is not empty."""
        return {name: value for name, value in asdict(self).items() if value}


_KIMI = Calls(
    "named",
    open="<|tool_calls_section_begin|>",
    close="<|tool_calls_section_end|>",
    call="<|tool_call_begin|>functions.",
    end="<|tool_call_end|>",
    name="<|tool_call_argument_begin|>",
)
_LFM = Calls("python", "<|tool_call_start|>", "<|tool_call_end|>")
KNOWN = (
    (("<|channel|>", "<|message|>", "functions."), Calls("harmony")),
    ((">>>all",), Calls("functionary")),
    (("<|tool_call_begin|>", "<|tool_call_argument_begin|>"), _KIMI),
    (("<|tool_call_start|>",), _LFM),
    (("<|tool_list_start|>",), _LFM),
    (("<|tool_call>call:",), Calls("gemma", call="<|tool_call>call:", end="<tool_call|>")),
    (("functools[",), Calls("json", open="functools")),
    (("<|tool_call|>", "<|start_of_role|>"), Calls("json", open="<|tool_call|>")),
    (("xml_tools", "<tool_call>"), Calls("json", call="<tool_call>", end="</tool_call>")),
)
"""Formats that their templates do not write out, or not as the others do, and words of theirs."""


class _Call(NamedTuple):
    """A call in a text: what is before it, how it is written, and where it ends."""

    before: str
    format: Calls
    end: int


def calling(*values: str) -> dict[str, Any]:
    """A message with a call for each of ``values``."""
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": f"call{index:05}",
                "type": "function",
                "function": {"name": NAME, "arguments": {KEY: value, NUMBER: 5}},
            }
            for index, value in enumerate(values)
        ],
    }


def learn(source: str, write: Write, tokens: str = "") -> Calls | None:
    """The format of calls that the template ``source`` writes, None where it cannot be told.

    Where the template says nothing, the names of the vocabulary's ``tokens`` may.
    """
    return _known(source) or _learn(*_answers(write)) or _known(tokens)


def _known(text: str) -> Calls | None:
    return next((calls for words, calls in KNOWN if all(word in text for word in words)), None)


def _learn(one: str, two: str) -> Calls | None:
    """The format of an answer with a call, and of one with two."""
    first = _read(one, 0)
    if first is None:
        return None
    after = one[first.end :]
    before, end = first.before, after
    if (again := _read(two, 0)) and (second := _read(two, again.end)):
        between = second.before
        end = after[: _edge(after, len(_prefix(after, between)))]
        before = _suffix(first.before, between[len(end) :])
        if first.format.kind == "named":
            name = _suffix(first.format.name, second.format.name)
            first = first._replace(format=Calls("named", name=name))
    outside = first.before[: len(first.before) - len(before)].partition("call0000")[0]
    made = _tidy(first.format, _unthought(outside), _unthought(before), end, after[len(end) :])
    return None if any(NAME in part for part in made.as_dict().values()) else made


def _answers(write: Write) -> tuple[str, str]:
    """An answer with a call and one with two, without what is around answers."""
    cue = write([_USER], True)
    plain = _behind(write([_USER, _ANSWER], False), cue)
    prelude, _, stop = plain.partition(ANSWER)
    one, two = (
        _behind(_behind(write([_USER, calling(*VALUES[:count])], False), cue), prelude)
        for count in (1, 2)
    )
    return _until(one, stop), _until(two, stop)


def _behind(text: str, start: str) -> str:
    """``text`` from where it differs from ``start``."""
    return text[_edge(text, len(_prefix(text, start))) :]


def _until(text: str, stop: str) -> str:
    """``text`` up to ``stop``, or to as much of its end as it has."""
    last = text.rfind(NUMBER)
    at = text.find(stop.strip(), last) if stop.strip() else -1
    if at < 0:
        at = len(text) - len(_suffix(text, stop))
        at = at if _edge(text, at) == at else text.find(">", at) + 1
    return text[:at]


def _unthought(text: str) -> str:
    """``text`` behind the reasoning that ends in it."""
    closings = [text.rfind(close) + len(close) for _, close in (*TAGS, USUAL) if close in text]
    return text[max(closings, default=0) :]


def _edge(text: str, at: int) -> int:
    """``at``, or where the tag starts that it is in the middle of."""
    start = max(text.rfind("<", 0, at), text.rfind("[", 0, at))
    inside = start >= 0 and not re.search(r"[>\]]", text[start:at])
    return start if inside else at


def _prefix(one: str, other: str) -> str:
    pairs = zip(one, other, strict=False)
    return one[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))]


def _suffix(one: str, other: str) -> str:
    return _prefix(one[::-1], other[::-1])[::-1]


def _read(text: str, start: int) -> _Call | None:
    """The call that comes first in ``text`` from ``start`` on."""
    at = text.find(NAME, start)
    if at < 0:
        return None
    before, rest = text[start:at], at + len(NAME)
    arguments = text.find("{", rest)
    if arguments >= 0 and _object(text, arguments):
        return _in_json(text, start, before, rest, arguments)
    return _tagged(text, before, rest)


def _in_json(text: str, start: int, before: str, rest: int, arguments: int) -> _Call | None:
    kind, outer = "named", None
    if outer := _JSON_NAME.search(before):
        kind = "json"
    elif outer := re.search(r'\{\s*"$', before):
        kind = "keyed"
    if outer is None:
        name = text[rest:arguments]
        return _Call(before, Calls(kind, name=name), arguments + _object(text, arguments))
    whole = start + outer.start()
    return _Call(before[: outer.start()], Calls(kind), whole + _object(text, whole))


def _object(text: str, at: int) -> int:
    """The length of the JSON object at ``at``, 0 where there is none."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except ValueError:
        return 0
    return end - at if isinstance(value, dict) else 0


def _tagged(text: str, before: str, rest: int) -> _Call | None:
    key, number = text.find(KEY, rest), text.find(NUMBER, rest)
    value = min((at for each in VALUES if (at := text.find(each, rest)) >= 0), default=-1)
    five = text.find("5", number)
    if not rest <= key < value < number < five:
        return None
    first = text[key + len(KEY) : value]
    second = text[number + len(NUMBER) : five]
    between = text[value + len(VALUES[0]) : number]
    opening = text[rest:key]
    mark = _suffix(opening, between)
    if "<" in between[: len(between) - len(mark)].rpartition(">")[2]:
        mark = mark.partition(">")[2]
    value_end = between[: len(between) - len(mark)]
    end = five + 1
    if not text.startswith(value_end, end) or not value_end.strip():
        return None
    key_end, value_start = first, ""
    if first != second:
        key_end = _prefix(first, second).split(" ")[0]
        value_start = re.sub(r'^\w*"?', "", _suffix(first, second))
    return _Call(
        before,
        Calls(
            "tagged",
            name=opening[: len(opening) - len(mark)],
            key=mark,
            key_end=key_end,
            value=value_start,
            value_end=value_end,
        ),
        end + len(value_end),
    )


def _tidy(found: Calls, before: str, call: str, end: str, close: str) -> Calls:
    """Without the white space, and the brackets of arrays, that calls are written with."""
    spaces = " \t\r\n"
    if found.kind in ("json", "keyed"):
        before, call = before.rstrip("[" + spaces), call.rstrip("[," + spaces)
        end, close = end.lstrip("]," + spaces), close.lstrip("]" + spaces)
    return Calls(
        found.kind,
        open=before.strip(),
        close=close.strip() if before.strip() else "",
        call=call.strip(),
        end=end.strip(),
        name=found.name.strip(),
        key=found.key.strip(),
        key_end=found.key_end.lstrip(),
        value=found.value,
        value_end=found.value_end.rstrip(),
    )
