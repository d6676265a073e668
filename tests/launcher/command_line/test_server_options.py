"""The options of the launcher are those of the bundled server."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from llamaedge_host import Guest
from llamaedge_host.ggml.llama.context import CACHE_TYPES
from llamaedge_host.ggml.metadata.keys import BY_NAME
from llamaedge_launcher.cli import templates
from llamaedge_launcher.cli.options import SERVER_OPTIONS, ServerOption

from .conftest import Planned


def test_every_server_option_is_passed_on_by_its_long_name(planned: Planned) -> None:
    values = {
        "--top-p": "0.5",
        "--model-alias": "default",
        "--llava-mmproj": "eye.gguf",
        "--model-vocoder": "voice.gguf",
        "--draft-model": "model.gguf",
        "--chat-template": "own.jinja",
    }
    arguments = []
    expected = []
    for option in SERVER_OPTIONS:
        if option.name == "--web-ui":  # which the public server serves
            continue
        value = values.get(option.name, option.allowed[0] if option.kind == "choice" else "1")
        arguments += [option.flags[0]] if option.is_switch else [option.flags[0], value]
        expected.append(option.name if option.is_switch else f"{option.name}={value}")
    plan = planned(" ".join(["--nn-preload default:GGML:AUTO:model.gguf", *arguments]))
    assert sorted(plan.units[0].arguments) == sorted(map(_as_the_guest_sees_it, expected))


def _as_the_guest_sees_it(argument: str) -> str:
    seen = {
        "--chat-template=own.jinja": "--chat-template={{ messages }}",
        "--draft-model=model.gguf": "--draft-model=draft",
    }
    return seen.get(argument, argument)


def guest_says(*arguments: str) -> tuple[int, str]:
    """What the bundled server ends with and prints."""
    written: list[bytes] = []
    server = files("llamaedge_launcher") / "llama-api-server.wasm"
    output = {"stdout": written.append, "stderr": written.append}
    with Guest(str(server), args=arguments, **output) as guest:  # type: ignore[arg-type]
        return guest.run(), b"".join(written).decode()


def test_the_options_are_those_of_the_bundled_server(module_cache: Path) -> None:
    """But for those that are the launcher's own."""
    _, text = guest_says("--help")
    theirs = re.findall(r"  (?:-(.), )?--([a-z-]+)(?: <(\w+)>)?\n +(.*)", text)
    own = {"socket-addr", "port", "help", "version"}
    ours = [
        (option.short, option.long, option.value, option.help, option.default)
        for option in SERVER_OPTIONS
    ]
    said = [(*row[:3], *_help_and_default(row[3])) for row in theirs if row[1] not in own]
    assert [row for row in ours if row[1] != "prompt-template"] == [
        row for row in said if row[1] != "prompt-template"
    ]


def _help_and_default(text: str) -> tuple[str, str]:
    """A line of the help, whose default the table has; a host's choice is part of the text."""
    text = re.sub(r" \[possible values: .*\]$", "", text)
    found = re.fullmatch(r"(.*) \[default: (?!the host)(.*)\]", text)
    return (found[1], found[2]) if found else (text, "")


def test_what_options_take_the_host_takes_for_their_metadata() -> None:
    kinds: dict[str, type] = {"whole": int, "number": float, "text": str, "choice": str}
    for option in SERVER_OPTIONS:
        if not option.metadata:
            continue
        key = BY_NAME[option.metadata]
        if option.name == "--no-mmap":
            assert key.kind is bool
        elif option.count == 0:
            assert key.kind is str
        elif option.name.startswith("--cache-type"):
            assert option.allowed == tuple(sorted(CACHE_TYPES))
        else:
            assert key.kind is kinds[option.kind], option.name
            assert set(option.allowed) <= set(key.choices), option.name
        if key.kind in (int, float) and not key.clamped:
            assert key.low <= option.least <= option.most <= key.high, option.name


VALUES = (
    *("", " 1", "-3", "-1", "0", "1", "1.5", "+2", "2147483647", "2147483648", "1e3", ".5", "5."),
    *("1_0", "nan", "inf", "0x10", "1,2", "1,2,3", "1,", "true", "row", "none", "\u0663"),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("option", SERVER_OPTIONS, ids=lambda option: option.long)
def test_a_value_is_refused_as_the_bundled_server_refuses_it(
    option: ServerOption, module_cache: Path
) -> None:
    if option.is_switch or option.long == "prompt-template":
        return
    for value in VALUES:
        code, text = guest_says(f"{option.name}={value}", "--help")
        try:
            option.check(value)
        except ValueError:
            assert (code, text[:6]) == (2, "error:"), value
        else:
            assert code == 0, (value, text)


def test_the_names_of_templates_are_those_of_the_bundled_server(module_cache: Path) -> None:
    _, text = guest_says("--help")
    said = re.search(r"--prompt-template <.*?\[possible values: (.*?)\]", text, re.DOTALL)
    assert said
    assert said[1].split(", ") == [templates.AUTO, *templates.NAMES, "embedding", "none"]
