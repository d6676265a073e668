"""A small model that drafts for a large one: what it must be, and what its context is.

Source of the rules for vocabularies: llama.cpp's common/speculative.cpp.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..metadata.parse import Settings
from .context import ContextParameters
from .gguf import Gguf
from .library import llama
from .model import Model

CELLS = 2048
"""Tokens of a text's end that a draft model sees at most."""
BATCH = 512
COMPARED_FROM = 5
"""The first token whose text is compared: special ones before it often have other names."""
SURPLUS = 128
"""Tokens that one of two vocabularies may have more than the other."""
MOST_COST = 0.5
"""The part of a step of the large model from which no draft is worth its cost."""
LEAST_COST = 0.03
"""The part of a step of the large model that a step of the smallest one takes."""
_EXPERTS, _INPUT = "_exps", "token_embd"


def draft_path(settings: Settings, preloaded: Mapping[str, Path]) -> Path | None:
    """The file of the model that ``settings`` let draft, one of those ``preloaded``, if any.

    Raises GgmlError for a name that none of them has.
    """
    name: str = settings["model-draft"]
    if not name or settings["embedding"]:
        return None
    if name not in preloaded:
        known = ", ".join(preloaded) or "none"
        raise GgmlError(
            NnErrno.NOT_FOUND,
            f"the option model-draft cannot be used: no model is preloaded as {name!r}"
            f" (preloaded: {known})",
        )
    return preloaded[name]


def check(draft: Model, model: Model) -> None:
    """Raise GgmlError unless ``draft`` can draft for ``model``."""
    for each, what in ((model, "has no drafts"), (draft, "makes no drafts")):
        if each.has_state:
            raise _refused(draft, f"{each.path.name} {what}: its memory cannot be cut")
        if each.has_encoder or not each.causal:
            raise _refused(draft, f"{each.path.name} {what}: it is an encoder")
    why = _disagreement(draft.vocabulary.pointer, model.vocabulary.pointer)
    if why:
        raise _refused(
            draft, f"{why} in it and in {model.path.name}; take a smaller model of the same family"
        )
    if (part := cost(draft, model)) >= MOST_COST:
        raise _refused(
            draft,
            f"a step of it takes {part:.0%} of one of {model.path.name}, and drafting pays below"
            f" {MOST_COST:.0%}; take a smaller one",
        )


def _disagreement(one: ctypes.c_void_p, other: ctypes.c_void_p) -> str:
    """What is not the same in two vocabularies; "" if a token is the same text in both."""
    if llama.llama_vocab_type(one) != llama.llama_vocab_type(other):
        return "texts are cut into tokens in different ways"
    sizes = llama.llama_vocab_n_tokens(one), llama.llama_vocab_n_tokens(other)
    if abs(sizes[0] - sizes[1]) > SURPLUS:
        return f"there are {sizes[0]} and {sizes[1]} tokens"
    for token in range(COMPARED_FROM, min(sizes)):
        texts = [llama.llama_vocab_get_text(each, token) or b"" for each in (one, other)]
        if texts[0] != texts[1]:
            shown = " and ".join(repr(text.decode(errors="replace")) for text in texts)
            return f"token {token} is {shown}"
    return ""


def parameters(draft: Model, settings: Settings, made: ContextParameters) -> ContextParameters:
    """Those of the context on ``draft`` beside one of ``made``, which ``settings`` asked for."""
    cells = min(made.cells, draft.context_length, CELLS)
    keys = ("threads", "threads-batch", "flash-attn", "no-kv-offload", "kv-unified")
    asked = {key: settings[key] for key in keys} | {"ctx-size": cells, "batch-size": BATCH}
    found = ContextParameters.of(Settings().with_changes(asked), draft, made.parallel)
    return replace(found, micro_batch=found.batch)


def cost(draft: Model, model: Model) -> float:
    """The part of a step of ``model`` that one of ``draft`` takes, by the weights they read."""
    return max(weights_read(draft.header) / max(weights_read(model.header), 1), LEAST_COST)


def weights_read(header: Gguf) -> int:
    """Bytes of the weights that a step reads."""
    experts = header.integer("expert_used_count"), max(header.integer("expert_count"), 1)
    tied = not any(tensor.name.startswith("output.") for tensor in header.tensors)
    total = 0
    for tensor in header.tensors:
        if _EXPERTS in tensor.name:
            total += tensor.size * experts[0] // experts[1]
        elif tied or not tensor.name.startswith(_INPUT):
            total += tensor.size
    return total


def _refused(draft: Model, why: str) -> GgmlError:
    return GgmlError(
        NnErrno.INVALID_ARGUMENT, f"the draft model {draft.path.name} cannot be used: {why}"
    )
