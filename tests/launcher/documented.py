"""Commands and answers as documents show them."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx

_ADDRESS = re.compile(r"http://[a-z0-9.]+:(8080|10086)")
_NAME = re.compile(r"[A-Z]+_ID")
_SAID = ("object", "type", "role", "status")
"""The fields whose documented values are the only ones."""
_NUMBER = re.compile(r"\d[\d.e+]*")

Names = dict[str, str]
"""What the names in capitals of a document stand for, as FILE_ID does."""


def request(command: str, address: str, folder: Path = Path()) -> httpx.Request:
    """What the curl ``command`` asks, of the server at ``address``; its files are in ``folder``."""
    words = iter(shlex.split(command.replace("\\\n", " ")))
    assert next(words) == "curl"
    method, url, content, form = "", "", None, {}
    headers: dict[str, str] = {}
    fields: dict[str, str] = {}
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(":")
                headers[name] = value.strip()
            case "-d":
                content = next(words).encode()
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            case "-F":
                name, _, value = next(words).partition("=")
                if value.startswith("@"):
                    form[name] = (value[1:], folder.joinpath(value[1:]).read_bytes())
                else:
                    fields[name] = value
            case _:
                assert not word.startswith("-"), f"curl's {word} is not known here"
                url = _ADDRESS.sub(address, word)
    asked = content is not None or form or fields
    method = method or ("POST" if asked else "GET")
    return httpx.Request(
        method, url, headers=headers, content=content, files=form or None, data=fields or None
    )


def like(found: object, documented: object, names: Names | None = None) -> bool:
    """Whether ``found`` has what is documented, of the same types, and all of a list like one.

    A text in capitals that ends with _ID is one of ``names``, which learn those they have not.
    """
    match documented:
        case dict():
            return isinstance(found, dict) and all(
                name in found and _field(name, found[name], value, names)
                for name, value in documented.items()
            )
        case [first, *_]:
            return (
                isinstance(found, list)
                and bool(found)
                and all(like(each, first, names) for each in found)
            )
        case float():
            return isinstance(found, float | int)
        case str() if names is not None and _NAME.fullmatch(documented):
            return isinstance(found, str) and names.setdefault(documented, found) == found
        case None:
            return found is None
        case _:
            return type(found) is type(documented)


def _field(name: str, found: object, documented: object, names: Names | None) -> bool:
    if names is not None and name in _SAID and isinstance(documented, str):
        return found == documented
    return like(found, documented, names)


def lines_like(found: str, documented: str, names: Names) -> bool:
    """Whether the documented lines are among those found, in their order.

    Lines of JSON, and those of events, are compared as ``like`` does, and others whatever numbers
    are in them.
    """
    shown = [line for line in documented.splitlines() if line]
    for line in found.splitlines():
        if shown and _line(line, shown[0], names):
            del shown[0]
    return not shown


def _line(found: str, documented: str, names: Names) -> bool:
    head, value = _parsed(documented)
    if value is None:
        return _NUMBER.sub("0", found) == _NUMBER.sub("0", documented)
    other, given = _parsed(found)
    learnt = dict(names)
    if head != other or not like(given, value, learnt):
        return False
    names.update(learnt)
    return True


def _parsed(line: str) -> tuple[str, Any]:
    """What stands before a line's JSON object, and that; None where there is none."""
    head, brace, rest = line.partition("{")
    if not brace or head not in ("", "data: "):
        return line, None
    try:
        return head, json.loads(brace + rest)
    except ValueError:
        return line, None
