"""Prefill, decode and embeddings through wasi-nn, against bare llama.cpp loops in the same run.

A small guest sets metadata and a prompt and computes; a provider of the benchmark's own tells it
when to start, so that only the computation is timed.
"""

import json
import time
from collections.abc import Callable

from bare import Bare
from report import Report
from server import model_file
from wasmtime import wat2wasm

from llamaedge_host import Guest, NeuralNetwork, Preload

TOKENS = 200
DECODE_PROMPT = (
    "<|im_start|>user\nWrite a long story about a lighthouse keeper and the sea.<|im_end|>\n"
    "<|im_start|>assistant\n"
)
PREFILL_PROMPT = "The quick brown fox jumps over the lazy dog near the river bank. " * 60
NN = "wasi_ephemeral_nn"
CONFIG, PROMPT = 0x1000, 0x8000


def guest_text(config: str, prompt: str) -> bytes:
    """Exports ``load``, ``prepare``, ``compute`` and ``singles``, which compute the prompt,
    ``output``, which reads all that came of it, and ``fini``."""

    def data(text: str) -> str:
        return "".join(f"\\{byte:02x}" for byte in text.encode())

    return bytes(
        wat2wasm(f"""(module
        (import "{NN}" "load_by_name_with_config"
            (func $load (param i32 i32 i32 i32 i32) (result i32)))
        (import "{NN}" "init_execution_context" (func $init (param i32 i32) (result i32)))
        (import "{NN}" "set_input" (func $input (param i32 i32 i32) (result i32)))
        (import "{NN}" "compute" (func $compute (param i32) (result i32)))
        (import "{NN}" "compute_single" (func $single (param i32) (result i32)))
        (import "{NN}" "fini_single" (func $fini (param i32) (result i32)))
        (import "{NN}" "get_output" (func $whole (param i32 i32 i32 i32 i32) (result i32)))
        (import "{NN}" "get_output_single"
            (func $output (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 4)
        (data (i32.const 0x100) "default")
        (data (i32.const {CONFIG}) "{data(config)}")
        (data (i32.const {PROMPT}) "{data(prompt)}")
        (func (export "load") (result i32)
            (i32.or (call $load (i32.const 0x100) (i32.const 7) (i32.const {CONFIG})
                        (i32.const {len(config.encode())}) (i32.const 0))
                    (call $init (i32.load (i32.const 0)) (i32.const 4))))
        (func (export "prepare") (result i32)
            (i32.store (i32.const 0x40) (i32.const 0x60)) (i32.store (i32.const 0x44) (i32.const 1))
            (i32.store (i32.const 0x60) (i32.const 1)) (i32.store (i32.const 0x48) (i32.const 3))
            (i32.store (i32.const 0x4c) (i32.const {PROMPT}))
            (i32.store (i32.const 0x50) (i32.const {len(prompt.encode())}))
            (call $input (i32.load (i32.const 4)) (i32.const 0) (i32.const 0x40)))
        (func (export "compute") (result i32) (call $compute (i32.load (i32.const 4))))
        (func (export "singles") (param $n i32) (result i32) (local $errno i32)
            (loop $again
                (local.set $errno (call $single (i32.load (i32.const 4))))
                (if (local.get $errno) (then (return (local.get $errno))))
                (drop (call $output (i32.load (i32.const 4)) (i32.const 0) (i32.const 0x20000)
                    (i32.const 256) (i32.const 8)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (local.get $n)))
            (i32.const 0))
        (func (export "output") (result i32)
            (call $whole (i32.load (i32.const 4)) (i32.const 0) (i32.const 0x20000)
                (i32.const 0x20000) (i32.const 8)))
        (func (export "fini") (result i32) (call $fini (i32.load (i32.const 4)))))""")
    )


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    assert call() == 0
    return time.perf_counter() - started


def measure(report: Report, rounds: int) -> None:
    bare = Bare(model_file())
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model_file()}")], parallel=1)
    config = {"ctx-size": 4096, "batch-size": 512, "temp": 0.0, "n-predict": TOKENS}
    config["cache-ram"] = 0  # or the prompt would come back from there
    story = bare.tokenize(DECODE_PROMPT)
    text = bare.tokenize(PREFILL_PROMPT)

    def bare_decode() -> float:
        bare.prefill(story)
        return (TOKENS - 1) / bare.generate(TOKENS)[1]

    def singles() -> float:
        assert decoder.call("prepare") == 0
        assert decoder.call("singles", 1) == 0
        seconds = timed(lambda: decoder.call("singles", TOKENS - 1))
        assert decoder.call("fini") == 0
        return (TOKENS - 1) / seconds

    def prefill() -> float:
        assert decoder.call("prepare") == 0  # whose prompt takes the cache's place
        assert decoder.call("singles", 1) == 0
        assert decoder.call("fini") == 0
        return compute(filler, len(text))

    def compute(guest: Guest, tokens: int) -> float:
        assert guest.call("prepare") == 0
        return tokens / timed(lambda: guest.call("compute"))

    with (
        Guest(guest_text(json.dumps(config), DECODE_PROMPT), nn=nn) as decoder,
        Guest(guest_text(json.dumps(config | {"n-predict": 1}), PREFILL_PROMPT), nn=nn) as filler,
    ):
        for guest in (decoder, filler):
            assert guest.call("load") == 0
        decode = {
            "bare decode": bare_decode,
            "compute_single": singles,
            "compute": lambda: compute(decoder, TOKENS),
        }
        fill = {
            "bare prefill": lambda: len(text) / bare.prefill(text),
            "prefill by compute": prefill,
        }
        for each in (decode, fill):
            Report("warming up").compare("tokens/s", each, 1)
        for _ in range(rounds):
            for each in (decode, fill):
                report.compare("tokens/s", each)
    nn.close()
    bare.close()
