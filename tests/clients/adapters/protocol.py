"""How an adapter is asked: a line of JSON on its standard input, and one back for each.

The first line is the Task and the client's package, whose version is said back. Each further one
names a scenario; what is said back is what that of the client's adapter returns, or why it failed.
What the libraries print goes to standard error.
"""

import gc
import json
import os
import sys
import traceback
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

Said = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What all clients are told to do, and where.

    ``url`` is the server's without a path. ``call`` makes the model call ``tool``, whose
    ``result`` then goes back. ``long`` is an endless question, ``too_long`` one that the context
    cannot hold. ``texts`` are to be embedded.
    """

    url: str
    key: str
    model: str
    embedding_model: str
    question: str
    call: str
    tool: Any
    result: str
    asks: str
    schema: Any
    long: str
    too_long: str
    texts: list[str]

    @property
    def base_url(self) -> str:
        """Where OpenAI's endpoints are."""
        return f"{self.url}/v1"

    @property
    def function(self) -> Any:
        """The tool as OpenAI's clients tell of it."""
        return {"type": "function", "function": self.tool}

    @property
    def layout(self) -> Any:
        """The schema as OpenAI's ``response_format``."""
        layout = {"name": "city", "schema": self.schema, "strict": True}
        return {"type": "json_schema", "json_schema": layout}


def user(text: str) -> Any:
    """A message of the user's."""
    return {"role": "user", "content": text}


def refusal(ask: Any, *kinds: type[Exception]) -> Said:
    """The error of one of ``kinds`` that ``ask()`` raises."""
    try:
        ask()
    except kinds as error:
        status = getattr(error, "status_code", None)
        return {"kind": type(error).__name__, "status": status, "message": str(error)}
    raise AssertionError("nothing was refused")


def serve(client: type) -> None:
    """Answer what is asked, with a ``client`` that is made of the task."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    told = json.loads(sys.stdin.readline())
    package = told.pop("package")
    said: Said = {"version": "recorded" if package == "recorded" else version(package)}
    made = client(Task(**told))
    print(json.dumps(said), file=answers, flush=True)
    for line in sys.stdin:
        try:
            said = {"said": getattr(made, json.loads(line))()}
        except Exception:
            said = {"failed": traceback.format_exc()}
        gc.collect()  # what a stream that is given up still holds
        print(json.dumps(said), file=answers, flush=True)
