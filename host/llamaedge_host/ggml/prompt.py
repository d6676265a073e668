"""Prompts: what a context computes on, made of text, a chat, token numbers, pictures, speech."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..files import Files
from ..nn.errno import NnErrno
from .chat.conversation import Conversation
from .chat.template import ChatTemplate
from .errors import GgmlError
from .llama.model import Model
from .llama.vocabulary import Vocabulary
from .media import image, speech
from .media.pictures import Picture, Projector, split
from .media.vocoder import Vocoder
from .metadata.parse import Settings

MOST_BYTES = 64
"""Bytes of a prompt for each token of the context; more would only take llama.cpp's time."""
LEAST_BYTES = 65536
"""Bytes of a prompt that are read for any context, so that who sends too much learns how much."""
TENSOR_I32 = 4
"""A prompt of this type is token numbers; WasmEdge takes every prompt for text."""


class Source(Protocol):
    """What prompts are made with: a graph's model, its projector and its vocoder."""

    model: Model

    @property
    def cells(self) -> int:
        """Tokens that a sequence can hold."""

    def template(self, given: str) -> ChatTemplate:
        """The chat template ``given``, "" for the model's own. Raises GgmlError."""

    def projector(self, path: str) -> Projector:
        """The projector at ``path`` of the host. Raises GgmlError."""

    def vocoder(self, path: str) -> Vocoder:
        """The vocoder at ``path`` of the host. Raises GgmlError."""


@dataclass(frozen=True)
class Prompt:
    """``tokens``, among which placeholders stand for ``pictures``, each by its first position.

    ``cells`` counts the places that it takes in a KV cache, ``largest`` those of its largest
    picture, 0 without one. ``text`` is what a chat template wrote, or what tokens that were given
    stand for.
    """

    tokens: list[int] = field(default_factory=list)
    cells: int = 0
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    largest: int = 0
    text: str = ""


def make(source: Source, settings: Settings, files: Files, tensor_type: int, data: bytes) -> Prompt:
    """The prompt that ``data`` of ``tensor_type`` is, by the ``settings`` of a context.

    These name ``files`` of the guest: a picture that the text has a place for, a speaker.
    Raises GgmlError: PROMPT_TOO_LONG for a text longer than a context could hold,
    INVALID_ARGUMENT for token numbers, pictures and speakers that cannot be used.
    """
    vocabulary = source.model.vocabulary
    if tensor_type == TENSOR_I32:
        return _of(vocabulary.tokens(data))
    if prompt := _with_pictures(source, settings, files, data):
        return prompt
    if not settings["tts"]:
        return _of(vocabulary.tokenize(data))
    source.vocoder(host_file(files, settings["model-vocoder"], "vocoder"))
    speaker = _speaker(settings["tts-speaker-file"], files)
    return _of(speech.prompt(data, speaker, vocabulary))


def of_conversation(source: Source, settings: Settings, files: Files, document: object) -> Prompt:
    """The prompt that the chat template makes of a conversation (``Conversation.parse``).

    Raises GgmlError: PROMPT_TOO_LONG for a text longer than a context could hold,
    INVALID_ARGUMENT for a conversation that the template or the model does not take.
    """
    template = source.template(settings["chat-template"])
    vocabulary = source.model.vocabulary
    try:
        written = template.write(Conversation.parse(document))
    except RecursionError:
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT, "the conversation cannot be used: it is nested too deeply"
        ) from None
    _check_length(source, len(written.text.encode(errors="replace")))
    if not written.pictures:
        tokens = written.tokens(vocabulary)
        return Prompt(tokens, len(tokens), text=written.text)
    projector = source.projector(host_file(files, settings["mmproj"], "projector"))
    made = projector.prompt(*written.parts(vocabulary))
    return Prompt(made.tokens, made.cells, made.pictures, made.largest, written.text)


def of_parts(source: Source, document: object) -> Prompt:
    """The prompt of an array of token numbers and texts, the first with what the model expects.

    An object has the array as ``parts``, and may say by ``special`` that nothing is added, and by
    ``control`` that names of control tokens are text; both are true otherwise. Raises GgmlError:
    PROMPT_TOO_LONG for more than a context could hold, INVALID_ARGUMENT for what is no such thing.
    """
    given = document if isinstance(document, dict) else {"parts": document}
    special, control = given.get("special", True), given.get("control", True)
    tokens = _parts(
        source, given.get("parts"), "prompt", special=bool(special), control=bool(control)
    )
    return _read_back(tokens, source.model.vocabulary)


def of_infill(source: Source, document: object) -> Prompt:
    """The prompt that asks for what stands between two texts, by the model's own tokens for that.

    ``document`` is an object of a ``prefix`` and a ``suffix``, arrays as ``of_parts`` takes them.
    Raises GgmlError as that does, and INVALID_ARGUMENT for a model that has no such tokens.
    """
    vocabulary = source.model.vocabulary
    if vocabulary.infill is None:
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT,
            "the model cannot fill in: its vocabulary has no tokens for what stands before a gap,"
            " behind it and in it (FIM)",
        )
    if not isinstance(document, dict):
        raise GgmlError(NnErrno.INVALID_ARGUMENT, "the infill is not an object")
    before, behind, middle = vocabulary.infill
    prefix = _parts(source, document.get("prefix"), "prefix")
    suffix = _parts(source, document.get("suffix"), "suffix")
    begin, _ = vocabulary.frame
    tokens = [*begin, before, *prefix, behind, *suffix, middle]
    return _read_back(tokens, vocabulary)


def _parts(
    source: Source, parts: object, name: str, *, special: bool = False, control: bool = True
) -> list[int]:
    vocabulary = source.model.vocabulary
    if not isinstance(parts, list):
        raise GgmlError(NnErrno.INVALID_ARGUMENT, f"the {name} is not an array")
    _check_length(source, sum(len(each) for each in parts if isinstance(each, str)))
    tokens: list[int] = []
    for index, each in enumerate(parts):
        if isinstance(each, str):
            text = each.encode(errors="replace")
            tokens += vocabulary.tokenize(text, special=special and not index, control=control)
        elif type(each) is int and 0 <= each < vocabulary.size:
            tokens.append(each)
        else:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                f"the {name} has {each!r:.60}, which is no text and no number of a token, from 0 to"
                f" {vocabulary.size - 1}",
            )
    return tokens


def _read_back(tokens: list[int], vocabulary: Vocabulary) -> Prompt:
    text = b"".join(map(vocabulary.piece, tokens)).decode(errors="replace")
    return Prompt(tokens, len(tokens), text=text)


def host_file(files: Files, path: str, what: str) -> str:
    """The host's path of the file that metadata names ``path``; "" for none. Raises GgmlError."""
    try:
        return str(files.host_path(path)) if path else ""
    except OSError as error:
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT,
            f"the {what} {path} cannot be read: {error.strerror}; it must lie in a directory given"
            " with --dir, or be named on the command line as it is in the metadata",
        ) from None


def _of(tokens: list[int]) -> Prompt:
    return Prompt(tokens, len(tokens))


def _with_pictures(source: Source, settings: Settings, files: Files, data: bytes) -> Prompt | None:
    texts, pictures = split(data, _picture(settings["image"], files))
    _check_length(source, sum(map(len, texts)))
    if not pictures:
        return None
    projector = source.projector(host_file(files, settings["mmproj"], "projector"))
    made = projector.prompt([[(text, True)] for text in texts], pictures)
    return Prompt(made.tokens, made.cells, made.pictures, made.largest)


def _check_length(source: Source, length: int) -> None:
    most = max(MOST_BYTES * source.cells, LEAST_BYTES)
    if length > most:
        raise GgmlError(
            NnErrno.PROMPT_TOO_LONG,
            f"the prompt is too long: it has {length} bytes, and a context of {source.cells} tokens"
            f" takes at most {most}",
        )


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
            NnErrno.INVALID_ARGUMENT,
            f"the {what} {path} cannot be read: {error.strerror}; a guest's files are"
            " those in the directories given to it with --dir",
        ) from None
