"""Execution contexts: a prompt, its computation and what came of it.

Source: WasmEdge's GGML/core and GGML/compute. A context's computation is a sequence of its own,
so contexts of one graph do not disturb each other.
"""

import json
import logging
import math
from collections.abc import Mapping
from queue import Empty
from typing import Protocol

from ..errors import Interrupted
from ..files import Files
from ..nn.backend import Output
from ..nn.errno import NnErrno
from .chat.template import NoTemplate
from .engine.embedding import Embedder, as_json, normalized
from .engine.engine import Engine
from .engine.sequence import End, Limits, Sequence
from .engine.slots import place
from .errors import GgmlError
from .llama.library import BUILD_NUMBER, COMMIT
from .llama.vocabulary import Decoder
from .metadata.parse import OWN_KEYS, Settings, Value, read, values
from .outputs import (
    ABILITIES_INDEX,
    METADATA_INDEX,
    PROBABILITIES_INDEX,
    PROMPT_INDEX,
    SPEECH_INDEX,
    TOKENS_INDEX,
    abilities,
    tokens_told,
)
from .prompt import Prompt, Source, host_file, make, of_conversation, of_infill, of_parts
from .sampling.budget import Budget
from .sampling.chain import Sampling
from .sampling.probabilities import Probabilities
from .sampling.sampler import Sampler, check

_log = logging.getLogger("llamaedge_host.nn")

RESERVED = 4
"""Tokens of a context that a prompt must leave free, as in WasmEdge."""
DOCUMENTS = ("conversation", "prompt", "infill")
"""What of the metadata becomes a prompt; WasmEdge ignores it."""


class Graph(Source, Protocol):
    """What a context needs of its graph."""

    settings: Settings

    @property
    def parallel(self) -> int:
        """Contexts that compute at once, or by turns."""

    def change(self, changes: Mapping[str, Value]) -> None:
        """Change settings; all or nothing. Raises GgmlError."""

    def engine(self) -> Engine | Embedder:
        """What computes. Raises GgmlError if it cannot be set up."""

    def speech(self, tokens: list[int], vocoder: str) -> bytes:
        """The codes among ``tokens`` as a WAV file. Blocks. Raises GgmlError."""

    def debug(self, text: str) -> None:
        """Log ``text`` if enable-debug-log asks for it."""

    def info(self, text: str) -> None:
        """Log ``text`` if enable-log asks for it."""


class GgmlContext:
    """A ``backend.Context`` on ``graph``. ``cancel`` may be called from any thread."""

    def __init__(self, graph: Graph, files: Files, stdout: Output) -> None:
        self._graph = graph
        self._files = files
        self._print = stdout
        self._settings = graph.settings.of_a_context()
        self._prompt = Prompt()
        self._output = bytearray()
        self._made = 0
        self._piece = b""
        self._seen: Probabilities | None = None
        self._token: int | None = None
        self._said: list[int] = []
        self._sound = b""
        self._reused = 0
        self._decoder = Decoder()
        self._sequence: Sequence | None = None
        self._engine: Engine | None = None
        self._ended: NnErrno | None = None
        self._cancelled = False

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        """Take metadata or a conversation at index 1, a prompt at any other. Raises GgmlError."""
        if index == METADATA_INDEX:
            self._graph.debug("setInput: found Metadata, processing")
            self._configure(data)
            return
        self._forget()
        self._prompt = Prompt()
        self._prompt = make(self._graph, self._settings, self._files, tensor_type, data)
        self._graph.debug(f"setInput: {len(self._prompt.tokens)} tokens")

    def _configure(self, data: bytes) -> None:
        try:
            document = read(data.decode())
        except UnicodeDecodeError as error:
            raise GgmlError(
                NnErrno.INVALID_ENCODING, f"the metadata is not UTF-8: {error}"
            ) from None
        changes = values(document)
        own = {name: changes.pop(name) for name in OWN_KEYS if name in changes}
        settings = self._settings.with_changes(own)
        if self._settings.differences(settings):
            check(settings, self._graph.model.vocabulary)
        self._graph.change(changes)
        self._settings = settings
        for name in DOCUMENTS:
            if name in document:
                self._forget()
                self._prompt = Prompt()
                self._prompt = self._written(name, document[name], settings)

    def _written(self, name: str, document: object, settings: Settings) -> Prompt:
        if name == "conversation":
            return of_conversation(self._graph, settings, self._files, document)
        if name == "infill":
            return of_infill(self._graph, document)
        return of_parts(self._graph, document)

    def compute(self) -> NnErrno:
        """Run to the end. SUCCESS or CONTEXT_FULL; raises GgmlError for everything else."""
        self._forget()
        engine = self._graph.engine()
        if isinstance(engine, Embedder):
            return self._embed(engine)
        self._check(engine.cells)
        most = self._settings["n-predict"]
        if most == 0:
            return NnErrno.SUCCESS
        limits = self._limits(most, self._settings["reverse-prompt"])
        streams = self._settings["stream-stdout"]
        sequence = self._start(engine, limits, stream=streams)
        end = self._streamed(sequence, engine) if streams else self._take(sequence, engine)
        assert isinstance(end, End)
        self._sequence = None
        self._result(sequence)
        if self._settings["tts"] and not end.reason:
            self._speak(sequence.tokens[sequence.prompt_length :])
        errno = self._settle(end)
        return NnErrno.SUCCESS if errno is NnErrno.END_OF_SEQUENCE else errno

    def _speak(self, tokens: list[int]) -> None:
        """Make the codes among ``tokens`` a WAV file: the output, and a file if one is named."""
        self._output = bytearray()
        self._output += self._speech(tokens)
        if path := self._settings["tts-output-file"]:
            try:
                self._files.write(path, self._output)
            except OSError as error:
                raise GgmlError(
                    NnErrno.RUNTIME_ERROR,
                    f"the speech cannot be written to {path}: {error.strerror}",
                ) from None

    def _speech(self, tokens: list[int]) -> bytes:
        vocoder = host_file(self._files, self._settings["model-vocoder"], "vocoder")
        return self._graph.speech(tokens, vocoder)

    def _limits(self, most: int, reverse_prompt: str = "") -> Limits:
        milliseconds: int = self._settings["time-limit"]
        return Limits(
            tokens=most if most > 0 else None,
            seconds=milliseconds / 1000 if milliseconds >= 0 else math.inf,
            reverse_prompt=reverse_prompt.encode(),
            ignore_end=self._settings["ignore-eos"],
        )

    def _streamed(self, sequence: Sequence, engine: Engine) -> End:
        piece = self._graph.model.vocabulary.piece
        while True:
            item = self._take(sequence, engine)
            token = item.token if isinstance(item, End) else item
            if token is not None:
                self._print(piece(token))
            if isinstance(item, End):
                return item

    def _result(self, sequence: Sequence) -> None:
        piece = self._graph.model.vocabulary.piece
        tokens = sequence.tokens[sequence.prompt_length :]
        self._made = len(tokens)
        self._reused = sequence.reused
        self._output += b"".join(map(piece, tokens))
        if tokens:
            self._piece = piece(tokens[-1])

    def compute_single(self) -> NnErrno:
        """Make one token. END_OF_SEQUENCE, CONTEXT_FULL and PROMPT_TOO_LONG stay.

        BUSY if there is none by single-wait, another computation has one, or this one only begins.
        """
        if self._ended is not None:
            return self._ended
        sequence, engine = self._sequence, self._engine
        if sequence is None or engine is None:
            sequence, engine = self._begin_single()
            if self._settings["single-wait"] >= 0:
                return NnErrno.BUSY
        try:
            item = self._take(sequence, engine, self._settings["single-wait"])
        except Empty:
            return NnErrno.BUSY
        self._token = token = item.token if isinstance(item, End) else item
        self._reused = sequence.reused
        piece = b""
        if token is not None:
            self._seen = sequence.seen.popleft() if sequence.seen else None
            piece = self._graph.model.vocabulary.piece(token)
            self._output += piece
            self._made += 1
            self._said.append(token)
        self._piece = self._decoder.decode(piece, isinstance(item, End))
        if not isinstance(item, End):
            return NnErrno.SUCCESS
        self._sequence = None
        self._ended = item.errno
        return self._settle(item)

    def _begin_single(self) -> tuple[Sequence, Engine]:
        self._forget()
        engine = self._graph.engine()
        if isinstance(engine, Embedder):
            raise GgmlError(NnErrno.UNSUPPORTED_OPERATION, "the graph computes embeddings")
        self._check(engine.cells)
        limits = self._limits(self._settings["single-limit"])
        return self._start(engine, limits, stream=True), engine

    def _embed(self, engine: Embedder) -> NnErrno:
        if self._prompt.pictures:
            raise GgmlError(NnErrno.UNSUPPORTED_OPERATION, "the prompt has pictures")
        self._check(engine.cells)
        tokens = self._prompt.tokens
        if len(tokens) > engine.room:
            raise GgmlError(
                NnErrno.PROMPT_TOO_LONG,
                f"the prompt is too long: it has {len(tokens)} tokens, and embeddings take at most"
                f" {engine.room} (batch-size)",
            )
        vector = engine.embed(tokens)
        if not engine.scores:
            vector = normalized(vector, self._settings["embd-normalize"])
        self._output += as_json(vector)
        return NnErrno.SUCCESS

    def _check(self, cells: int) -> None:
        count, most = self._prompt.cells, cells - RESERVED
        if not count:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT, "there is no prompt: it is empty, or was refused"
            )
        if count > most:
            self._ended = NnErrno.PROMPT_TOO_LONG
            raise GgmlError(
                NnErrno.PROMPT_TOO_LONG,
                f"the prompt is too long: it has {count} tokens, and the context takes at most"
                f" {most} (ctx-size {cells})",
            )

    def _start(self, engine: Engine, limits: Limits, *, stream: bool) -> Sequence:
        vocabulary, prompt = self._graph.model.vocabulary, self._prompt
        if prompt.largest > engine.micro_batch:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                f"a picture has {prompt.largest} tokens, more than the ubatch-size of"
                f" {engine.micro_batch}",
            )
        sequence = Sequence(
            prompt.tokens,
            Sampler(
                vocabulary,
                Sampling.of(self._settings, vocabulary, engine.cells),
                Budget.of(self._settings, vocabulary, prompt.tokens),
            ),
            vocabulary,
            limits,
            capacity=engine.cells - (prompt.cells - len(prompt.tokens)),
            stream=stream,
            arrivals=engine.arrivals,
            pictures=prompt.pictures,
            reuse=self._settings["cache-prompt"],
            place=place(self._settings["id-slot"], engine.parallel),
            speculation=engine.speculation(self._settings["n-max-speculative"]),
            adapters=engine.adapters.asked(self._settings["lora"]),
        )
        self._sequence, self._engine = sequence, engine
        engine.submit(sequence)
        return sequence

    def _take(self, sequence: Sequence, engine: Engine, wait: int = -1) -> int | End:
        """What comes next. Raises queue.Empty after ``wait`` milliseconds, if they are not -1."""
        if self._cancelled:
            raise Interrupted("the computation was cancelled")
        item = sequence.take(engine) if wait < 0 else sequence.ask(engine, wait / 1000)
        if item is None:
            raise Interrupted("the computation was cancelled")
        return item

    def _settle(self, end: End) -> NnErrno:
        if end.reason:
            raise GgmlError(end.errno, end.reason)
        if end.errno is NnErrno.CONTEXT_FULL:
            self._graph.info("the context is full")
        return end.errno

    def output(self, index: int) -> bytes:
        """Everything made so far; 1: the counts, 2: the prompt, 4: abilities, 5: tokens, 6: speech.

        Raises GgmlError for speech that cannot be made.
        """
        if index == ABILITIES_INDEX:
            return abilities(self._graph.model.vocabulary)
        if index == TOKENS_INDEX:
            return tokens_told(self._prompt.tokens, self._graph.model.vocabulary)
        if index == SPEECH_INDEX and self._settings["tts"]:
            self._sound = self._sound or self._speech(self._said)
            return self._sound
        if index == PROMPT_INDEX and self._prompt.text:
            return self._prompt.text.encode(errors="replace")
        return self._counts() if index == METADATA_INDEX else bytes(self._output)

    def output_single(self, index: int) -> bytes:
        """The last token's piece, whole characters only; at index 1 the counts, 3 probabilities."""
        if index == PROBABILITIES_INDEX and self._token is not None:
            return self._as_json(self._token)
        return self._counts() if index == METADATA_INDEX else self._piece

    def _as_json(self, token: int) -> bytes:
        piece = self._graph.model.vocabulary.piece
        if self._seen is not None:
            return self._seen.as_json(piece)
        return json.dumps({"id": token, "bytes": list(piece(token))}).encode()

    def _counts(self) -> bytes:
        sequence = self._sequence
        counts = {
            "input_tokens": self._prompt.cells,
            "output_tokens": self._made,
            "llama_build_number": BUILD_NUMBER,
            "llama_commit": COMMIT,
            "n_parallel": self._graph.parallel,
            "cached_tokens": sequence.reused if sequence else self._reused,
            "read_tokens": sequence.read if sequence else self._prompt.cells,
        }
        if self._settings["enable-chat-template"]:
            counts["chat_template"] = self._template()
        return json.dumps(counts).encode()

    def _template(self) -> dict[str, object] | None:
        """What the chat template can do, None where the model has none."""
        try:
            return self._graph.template(self._settings["chat-template"]).abilities()
        except NoTemplate:
            return None
        except GgmlError as error:
            return {"error": str(error)}

    def fini_single(self) -> None:
        """End the computation; its output is gone, its prompt stays."""
        self._forget()

    def cancel(self) -> None:
        """Wake a blocked compute, which raises Interrupted."""
        self._cancelled = True
        if (sequence := self._sequence) is not None:
            sequence.wake()

    def close(self) -> None:
        """End the computation."""
        self._forget()

    def _forget(self) -> None:
        if self._sequence is not None and self._engine is not None:
            self._engine.cancel(self._sequence)
        self._sequence = self._engine = self._ended = None
        self._output = bytearray()
        self._piece = b""
        self._said = []
        self._sound = b""
        self._seen = None
        self._token = None
        self._reused = 0
        self._made = 0
        self._decoder = Decoder()
