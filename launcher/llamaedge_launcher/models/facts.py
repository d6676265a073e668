"""What a model's file says of it, kept for as long as the file is the same."""

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from llamaedge_host.ggml.chat.sources import sources

from ..errors import LauncherError
from .check import PROJECTOR, check_beside, check_model
from .embeds import embeds
from .variants import label

_KEPT = 256  # models
_TOOLS = re.compile(r"\btools\b")
_REASONING = re.compile(r"reasoning_content|enable_thinking|<think>|<\|channel\|>")


@dataclass(frozen=True)
class Facts:
    """``context`` is in tokens, of the model itself; ``problem`` is why nothing can be told."""

    architecture: str = ""
    quantization: str = ""
    parameters: int | None = None
    context: int | None = None
    capabilities: tuple[str, ...] = ()
    problem: str | None = None


@lru_cache(_KEPT)
def facts(path: Path, version: str) -> Facts:
    """Of the model whose first file is ``path``; ``version`` changes with the file. Blocks."""
    try:
        header = check_model(path.name, path)
    except LauncherError as error:
        return Facts(quantization=label(path.name), problem=str(error))
    template = "\n".join(sources(header.metadata).values())
    able = ["embeddings" if embeds(header) else "chat"]
    if able == ["chat"]:
        able += ["tools"] if _TOOLS.search(template) else []
        able += ["reasoning"] if _REASONING.search(template) else []
    return Facts(
        architecture=header.architecture,
        quantization=label(path.name),
        parameters=sum(math.prod(tensor.shape) for tensor in header.tensors),
        context=header.integer("context_length") or None,
        capabilities=tuple(able),
    )


@lru_cache(_KEPT)
def senses(projector: Path, version: str) -> tuple[str, ...]:
    """What a model takes beside texts with this projector: vision, audio or both. Blocks.

    ``version`` changes with the file; one that cannot be read has none.
    """
    try:
        metadata = check_beside(PROJECTOR, projector).metadata
    except LauncherError:
        return ()
    kinds = (("vision", "clip.has_vision_encoder"), ("audio", "clip.has_audio_encoder"))
    return tuple(kind for kind, key in kinds if metadata.get(key))
