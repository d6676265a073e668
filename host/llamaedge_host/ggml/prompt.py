"""Prompts: what a context computes on, made of text, token numbers, pictures or speech."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..files import Files
from ..nn.errno import ErrNo
from .errors import GgmlError
from .llama.context import MIN_CONTEXT
from .llama.model import Model
from .media import image, speech
from .media.pictures import Picture, Projector, split
from .media.vocoder import Vocoder
from .metadata.parse import Settings

MOST_BYTES = 64
"""Bytes of a prompt for each token of the context; more would only take llama.cpp's time."""
TENSOR_I32 = 4
"""A prompt of this type is token numbers; WasmEdge takes every prompt for text."""


class Source(Protocol):
    """What prompts are made with: a graph's model, its projector and its vocoder."""

    model: Model

    @property
    def cells(self) -> int:
        """Tokens that a sequence can hold."""

    def projector(self, path: str) -> Projector:
        """The projector at ``path`` of the host. Raises GgmlError."""

    def vocoder(self, path: str) -> Vocoder:
        """The vocoder at ``path`` of the host. Raises GgmlError."""


@dataclass(frozen=True)
class Prompt:
    """``tokens``, among which placeholders stand for ``pictures``, each by its first position.

    ``cells`` counts the places that it takes in a KV cache, ``largest`` those of its largest
    picture, 0 without one.
    """

    tokens: list[int] = field(default_factory=list)
    cells: int = 0
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    largest: int = 0


def make(source: Source, settings: Settings, files: Files, tensor_type: int, data: bytes) -> Prompt:
    """The prompt that ``data`` of ``tensor_type`` is, by the ``settings`` of a context.

    These name ``files`` of the guest: a picture that the text has a place for, a speaker.
    Raises GgmlError: PROMPT_TOO_LONG for a text longer than a context could hold,
    INVALID_ARGUMENT for token numbers, pictures and speakers that cannot be used.
    """
    vocabulary = source.model.vocabulary
    if tensor_type == TENSOR_I32:
        return _of(vocabulary.tokens(data))
    picture = _picture(settings["image"], files)
    if prompt := _with_pictures(source, settings["mmproj"], data, picture):
        return prompt
    if not settings["tts"]:
        return _of(vocabulary.tokenize(data))
    source.vocoder(settings["model-vocoder"])
    speaker = _speaker(settings["tts-speaker-file"], files)
    return _of(speech.prompt(data, speaker, vocabulary))


def _of(tokens: list[int]) -> Prompt:
    return Prompt(tokens, len(tokens))


def _with_pictures(
    source: Source, projector: str, data: bytes, named: bytes | None
) -> Prompt | None:
    most = MOST_BYTES * max(source.cells, MIN_CONTEXT)
    texts, pictures = split(data, named)
    length = sum(map(len, texts))
    if length > most:
        raise GgmlError(
            ErrNo.PROMPT_TOO_LONG,
            f"the prompt is too long: it has {length} bytes, and a context of {source.cells} tokens"
            f" takes at most {most}",
        )
    if not pictures:
        return None
    made = source.projector(projector).prompt(texts, pictures)
    return Prompt(made.tokens, made.cells, made.pictures, made.largest)


def _picture(path: str, files: Files) -> bytes | None:
    return _read(files, path, image.MAX_BYTES + 1, "image") if path else None


def _speaker(path: str, files: Files) -> speech.Speaker:
    if not path:
        return speech.Speaker()
    return speech.Speaker.parse(_read(files, path, speech.MAX_PROFILE, "speaker's profile"))


def _read(files: Files, path: str, most: int, what: str) -> bytes:
    """The first ``most`` bytes of the guest's file ``path``."""
    try:
        return files.read(path, most)
    except OSError as error:
        raise GgmlError(
            ErrNo.INVALID_ARGUMENT,
            f"the {what} {path} cannot be read: {error.strerror}; a guest's files are"
            " those in the directories given to it with --dir",
        ) from None
