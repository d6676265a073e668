"""A conversation as templates take it that insist on one system's turn at the beginning, or none.

OpenAI's API takes system's turns anywhere, and several turns of one role, and programs send both.
"""

from typing import Any

_SYSTEM = ("system", "developer")
_BETWEEN = "\n\n"


def easier(messages: list[dict[str, Any]], *, system: bool) -> list[dict[str, Any]]:
    """``messages`` in their order, with those of the system at the beginning in one.

    Later ones are the user's, and all of them where no ``system`` may speak; and those of the user
    that follow one another are one.
    """
    made: list[dict[str, Any]] = []
    for message in messages:
        role = message["role"]
        if role in _SYSTEM and not (system and all(each["role"] in _SYSTEM for each in made)):
            role = "user"
        if made and role in (*_SYSTEM, "user") and _alike(made[-1]["role"], role):
            before = made.pop()
            message = before | {"content": _joined(before.get("content"), message.get("content"))}
        else:
            message = message | {"role": role}
        made.append(message)
    return made


def _alike(role: str, other: str) -> bool:
    return role == other or (role in _SYSTEM and other in _SYSTEM)


def _joined(content: Any, more: Any) -> Any:
    if isinstance(content, list) or isinstance(more, list):
        return [*_parts(content), *_parts(more)]
    return _BETWEEN.join(each for each in (content, more) if each)


def _parts(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
