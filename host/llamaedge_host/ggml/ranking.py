"""Scores of documents for a query, by a model that was trained to rank them.

Source: llama.cpp's format_prompt_rerank.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..nn.errno import NnErrno
from .chat.sources import sources
from .engine.embedding import Embedder
from .errors import GgmlError
from .llama.model import Model

_TEMPLATE = "rerank"
_QUERY, _DOCUMENT = "{query}", "{document}"


@dataclass(frozen=True)
class Ranked:
    """A document's score, the larger the nearer to the query, and the tokens that it took."""

    score: float
    tokens: int


def rank(engine: Embedder, query: str, documents: Sequence[str]) -> list[Ranked]:
    """The scores of ``documents`` in their order. Blocks.

    Raises GgmlError: PROMPT_TOO_LONG for a document that does not fit beside the query.
    """
    pairs = [pair(engine.model, query, each) for each in documents]
    for index, tokens in enumerate(pairs):
        if len(tokens) > engine.room:
            raise GgmlError(
                NnErrno.PROMPT_TOO_LONG,
                f"documents[{index}] and the query have {len(tokens)} tokens, and the model takes"
                f" at most {engine.room} at once (batch-size)",
            )
    scores = engine.embed_all(pairs)
    return [
        Ranked(float(score[0]), len(tokens)) for score, tokens in zip(scores, pairs, strict=True)
    ]


def pair(model: Model, query: str, document: str) -> list[int]:
    """The tokens of a query and a document, as the model's own template or vocabulary has them."""
    template = sources(model.header.metadata).get(_TEMPLATE)
    if template is not None:
        return _written(model, template, {_QUERY: query, _DOCUMENT: document})
    vocabulary = model.vocabulary
    first, between, last = vocabulary.pairing
    plain = [vocabulary.tokenize(each.encode(), special=False, control=False)
             for each in (query, document)]  # fmt: skip
    return [*first, *plain[0], *between, *plain[1], *last]


def _written(model: Model, template: str, texts: dict[str, str]) -> list[int]:
    """``template`` with ``texts`` in their places, none of which becomes a control token."""
    vocabulary = model.vocabulary
    names = [each.name for each in vocabulary.specials if each.control]
    parts = re.split(f"({re.escape(_QUERY)}|{re.escape(_DOCUMENT)})", template)
    if not any(name in text for name in names for text in texts.values()):
        whole = "".join(texts.get(part, part) for part in parts)
        return vocabulary.tokenize(whole.encode(), special=False)
    return [
        token
        for part in parts
        for token in vocabulary.tokenize(
            texts.get(part, part).encode(), special=False, control=part not in texts
        )
    ]
