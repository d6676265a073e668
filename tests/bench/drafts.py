"""Answers with drafts looked up in the text so far, against the same ones without: tokens a second.

A text to be repeated with one word changed; the same where a grammar allows no other text, which
shows what drafts that come true gain; and a story, in which hardly anything is repeated. Then the
story by a model that says what the demo model says and takes several times as long, for which that
one drafts.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from report import Report
from server import model_file

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.nn import Target

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.models import sized

TEXT = (
    "The ferry leaves the old harbour at seven on Monday morning and reaches the island two hours"
    " later. Whoever misses it waits for the one at noon, which is slower but cheaper, and has a"
    " kitchen that is known for its fish soup. From the pier a narrow road climbs past the church"
    " to the lighthouse, where a keeper still trims the lamp each evening. In summer the fields"
    " beside the road are full of poppies, and children sell strawberries from small wooden"
    " tables. The last boat back sails at nine, and its captain waits for nobody, not even for"
    " the mayor, who has missed it twice. In winter the island has eighty people, two dogs and a"
    " school with one class, whose teacher also runs the post office and plays the organ."
)
CHANGED = TEXT.replace("Monday", "Tuesday")
KINDS = {
    "a text repeated": (
        f"<|im_start|>user\nWrite the text again, with Tuesday for Monday.\n\n{TEXT}<|im_end|>\n"
        f"<|im_start|>assistant\n{CHANGED[:64]}",
        {"temp": 0.0, "n-predict": 150},
    ),
    "a text repeated for certain": (
        f"<|im_start|>user\nWrite the text again, with Tuesday for Monday.\n\n{TEXT}<|im_end|>\n"
        f"<|im_start|>assistant\n{CHANGED[:64]}",
        {"temp": 0.0, "n-predict": 150, "grammar": f'root ::= "{CHANGED[64:]}"'},
    ),
    "a story": (
        "<|im_start|>user\nTell me a long story about a lighthouse keeper.<|im_end|>\n"
        "<|im_start|>assistant\n",
        {"temp": 0.8, "seed": 3, "n-predict": 150},
    ),
}
TURNS = 5
SILENT = 150
"""Layers that say nothing: with them the demo model takes six times as long."""


def rate(
    backend: GgmlBackend, model: Path, kind: str, longest: int, **others: str | float
) -> float:
    """Tokens a second of decoding alone."""
    prompt, keys = KINDS[kind]
    settings = {"ctx-size": 2048, "ignore-eos": True, "n-max-speculative": longest} | keys
    settings |= {name.replace("_", "-"): value for name, value in others.items()}
    graph = backend.load(model, Target.AUTO, json.dumps(settings))
    context, engine = graph.context(), graph.engine()
    assert isinstance(engine, Engine)
    try:
        context.set_input(0, 3, prompt.encode())
        context.compute()
        return engine.counters.generated_tokens / engine.counters.decode_seconds
    finally:
        context.close()
        graph.close()


def measure(report: Report, rounds: int) -> None:
    model, backend = model_file(), GgmlBackend(parallel=1)
    backend.preload(model)
    for _ in range(rounds):
        for kind in KINDS:
            plain, drafted = (partial(rate, backend, model, kind, longest) for longest in (0, 31))
            report.compare(
                "tokens/s",
                {f"{kind}, without drafts": plain, f"{kind}, with drafts": drafted},
                TURNS,
            )
    backend.close()
    with tempfile.TemporaryDirectory() as folder:
        _draft_model(report, rounds, sized.deepened(model, Path(folder) / "deep.gguf", SILENT))


def _draft_model(report: Report, rounds: int, deep: Path) -> None:
    backend = GgmlBackend(parallel=1, preloaded={"draft": model_file()})
    backend.preload(deep)
    for _ in range(rounds):
        for temperature in (0.0, 0.8):
            calls = {
                f"a story at {temperature}, {what}": partial(
                    rate, backend, deep, "a story", longest, n_predict=60, temp=temperature,
                    model_draft=draft,
                )
                for what, longest, draft in (("plain", 0, ""), ("with a draft model", 31, "draft"))
            }  # fmt: skip
            report.compare("tokens/s", calls, 3)
    backend.close()
