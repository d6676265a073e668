"""Text that follows a JSON schema of ten fields or a grammar, against free text of its length.

All are made of one prompt, whose state is kept, so that decoding is what is timed.
"""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from nn import DECODE_PROMPT
from report import Report
from server import model_file

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.nn import NnErrno, Target

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 20, "maxLength": 40},
        "author": {"type": "string", "maxLength": 30},
        "year": {"type": "integer", "minimum": 1800, "maximum": 2030},
        "pages": {"type": "integer", "minimum": 1, "maximum": 2000},
        "price": {"type": "number", "minimum": 0, "maximum": 100},
        "kind": {"enum": ["novel", "story", "poem", "play"]},
        "in_print": {"type": "boolean"},
        "language": {"type": "string", "pattern": "^[a-z]{2}$"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 3,
                 "maxItems": 5},
        "summary": {"type": "string", "minLength": 100, "maxLength": 200},
    },
    "required": ["title", "author", "year", "pages", "price", "kind", "in_print", "language",
                 "tags", "summary"],
}  # fmt: skip
GRAMMAR = r"""
root   ::= "{" member ("," ws member){9} "}"
member ::= string ":" ws (string | number | "[" string ("," ws string){2,4} "]")
string ::= "\"" [^"\\\x00-\x1f]{3,30} "\""
number ::= [1-9] [0-9]{0,3} ("." [0-9]{2})?
ws     ::= " "?
"""
FREE, BY_SCHEMA, BY_GRAMMAR = "free text", "text by a schema", "text by a grammar"
CONFIG = {"temp": 0.0, "ctx-size": 1024}


def speed(context: GgmlContext) -> float:
    """Tokens a second of one text."""
    context.set_input(0, 3, DECODE_PROMPT.encode())
    started = time.perf_counter()
    assert context.compute() is NnErrno.SUCCESS
    return made(context) / (time.perf_counter() - started)


def made(context: GgmlContext) -> int:
    count: int = json.loads(context.output(1))["output_tokens"]
    return count


def measure(report: Report, rounds: int) -> None:
    backend = GgmlBackend(parallel=1)

    def context(**keys: object) -> GgmlContext:
        config = CONFIG | {name.replace("_", "-"): value for name, value in keys.items()}
        return backend.load(Path(model_file()), Target.AUTO, json.dumps(config)).context()

    by_schema = context(json_schema=json.dumps(SCHEMA))
    by_grammar = context(grammar=GRAMMAR, n_predict=200)
    speed(by_schema)
    free = context(ignore_eos=True, n_predict=made(by_schema))
    report.add("tokens by the schema", made(by_schema), "")
    texts = {FREE: free, BY_SCHEMA: by_schema, BY_GRAMMAR: by_grammar}
    calls = {what: partial(speed, each) for what, each in texts.items()}
    for _ in range(rounds):
        report.compare("tokens/s", calls)
    backend.close()
