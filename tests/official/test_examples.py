"""The official example guests behave as they do on real WasmEdge with SmolLM2-135M.

Facts recorded from WasmEdge 0.17: exit codes, the lines a guest prints, token counts. Sampled
text differs from run to run and is only looked at where a guest decodes greedily.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from programs import wasmedge

from .conftest import Run

CAPITAL = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


def test_every_guest_links(guests: Path) -> None:
    """No import of any official guest is missing here."""
    found = sorted(guests.glob("*.wasm"))
    assert found
    unlinked = {}
    for each in found:
        done = subprocess.run(
            wasmedge("instantiate", str(each)), capture_output=True, text=True, check=False
        )
        if done.returncode:
            unlinked[each.name] = done.stderr
    assert not unlinked


def info(out: str, what: str) -> list[int]:
    return [int(each) for each in re.findall(rf"\[INFO\] Number of {what} tokens: (\d+)", out)]


@pytest.mark.parametrize("target", ["AUTO", "CPU", "auto", "GPU"])
def test_llama(run: Run, target: str) -> None:
    result = run(
        "wasmedge-ggml-llama.wasm", "default", CAPITAL,
        env=["n_predict=4"], preload=f"default:ggml:{target}:{{model}}",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.out.startswith(f"Prompt:\n{CAPITAL}\nResponse:\n")
    assert re.search(
        r'\[INFO\] llama_commit: "[^"]+"\n\[INFO\] llama_build_number: \d+', result.out
    )
    assert info(result.out, "input") == [16, 16]
    assert info(result.out, "output") == [4]


def test_llama_stream(run: Run) -> None:
    result = run("wasmedge-ggml-llama-stream.wasm", "default", CAPITAL)
    assert result.code == 0, result.err
    assert info(result.out, "input") == [16, 16]
    assert info(result.out, "output")[0] > 1
    assert "<|im_end|>" not in result.out.removeprefix(f"Prompt:\n{CAPITAL}")


def test_chatml_ends_with_the_end_of_generation_piece(run: Run) -> None:
    """The guest samples by chance, and asks for no end: what is left to say is next to nothing."""
    result = run("wasmedge-ggml-chatml.wasm", "default", CAPITAL + "The capital is Paris.")
    assert result.code == 0, result.err
    answer = result.out.partition("tokens: 21\n")[2].rpartition("\n[INFO] Number of input")[0]
    assert answer.endswith("<|im_end|>")


def test_reverse_prompt_stays_in_the_output(run: Run) -> None:
    result = run("wasmedge-ggml-chatml.wasm", "default", CAPITAL, env=["reverse_prompt=."])
    assert result.code == 0, result.err
    answer = result.out.partition("tokens: 16\n")[2].partition("\n[INFO]")[0]
    assert answer.endswith(".")
    assert answer.count(".") == 1


def test_basic(run: Run) -> None:
    result = run("wasmedge-ggml-basic.wasm", "default", "def hello():", env=["n_predict=20"])
    assert result.code == 0, result.err
    assert result.out.startswith("Prompt:\ndef hello():\nResponse:\n")


def test_grammar_constrains(run: Run) -> None:
    prompt = "JSON object with 5 country names as keys and their capitals as values:"
    result = run("wasmedge-ggml-grammar.wasm", "default", prompt, env=["n_predict=60"])
    assert result.code == 0, result.err
    answer = result.out.partition("tokens: 15\n")[2].partition("\n[INFO]")[0]
    assert re.match(r'\s*\{\s*"', answer), answer
    assert info(result.out, "output")[0] <= 60


def test_json_schema_constrains(run: Run) -> None:
    result = run(
        "wasmedge-ggml-json-schema.wasm", "default", "Give me a JSON array of Apple products.",
        env=["n_predict=99"],
    )  # fmt: skip
    assert result.code == 0, result.err
    answer = result.out.partition("tokens: 9\n")[2].partition("\n[INFO]")[0]
    assert re.match(r'\s*\[\s*(\{\s*"productId"|\])', answer), answer


def test_embedding(run: Run) -> None:
    result = run("wasmedge-ggml-llama-embedding.wasm", "default", "What is the capital of France?")
    assert result.code == 0, result.err
    raw = json.loads(re.search(r"^\{.*\}$", result.out, re.M)[0])  # type: ignore[index]
    assert raw["n_embedding"] == len(raw["embedding"]) == 576
    recorded = [-0.04359516129, -0.01799852587, 0.006638586521, 0.01442135964, 0.02622313797]
    assert raw["embedding"][:5] == pytest.approx(recorded, abs=2e-2)
    assert sum(each * each for each in raw["embedding"]) == pytest.approx(1, abs=1e-6)
    assert f"embd[0] = {raw['embedding'][0]}" in result.out


def test_an_embedding_input_longer_than_the_batch_is_refused(run: Run) -> None:
    result = run(
        "wasmedge-ggml-llama-embedding.wasm", "default", "word " * 40, env=["batch_size=16"]
    )
    assert result.code == 134
    assert "PromptTooLong" in result.err
    assert "16 (batch-size)" in result.err


def test_a_full_context_keeps_the_text_so_far(run: Run) -> None:
    result = run("wasmedge-ggml-llama.wasm", "default", "word " * 1000, timeout=170)
    assert "Number of input tokens: 1001" in result.out
    assert result.code in (0, 134)


def test_a_prompt_too_long_is_102_with_both_numbers(run: Run) -> None:
    result = run("wasmedge-ggml-llama.wasm", "default", "word " * 3000)
    assert result.code == 134
    assert info(result.out, "input") == [3001]
    assert "PromptTooLong" in result.err
    assert "3001" in result.err
    assert "1020" in result.err


def test_set_input_twice(run: Run) -> None:
    result = run("wasmedge-ggml-set-input-twice.wasm", "default", CAPITAL)
    assert result.code == 0, result.err
    assert info(result.out, "input") == [16, 16]


def test_unload_and_load_again(run: Run) -> None:
    result = run("wasmedge-ggml-unload.wasm", "default", CAPITAL)
    assert result.code == 0, result.err
    for index in range(5):
        assert f"----- Test {index} -----\nGraph Graph#{index} loaded.\n" in result.out
    assert result.out.count("<|im_end|>\n-----") + result.out.endswith("<|im_end|>\n") == 5


@pytest.mark.parametrize(
    ("preload", "name", "code", "message"),
    [
        ("default:GGML:AUTO:missing.gguf", "default", 0, "model file not found"),
        ("default:GGML:AUTO:{model}", "default", 134, "unreachable"),
        ("default:GGML:AUTO:{model}", "other", 134, "other"),
    ],
)
def test_model_not_found(run: Run, preload: str, name: str, code: int, message: str) -> None:
    result = run("wasmedge-ggml-model-not-found.wasm", name, preload=preload)
    assert result.code == code
    assert message in result.err
    assert ("Model not found" in result.out) == (code == 0)


@pytest.mark.parametrize(
    ("preload", "name", "error"),
    [
        ("default", "default", "NotFound"),
        ("default:FOO:AUTO:{model}", "default", "NotFound"),
        ("default:GGML:XPU:{model}", "default", "NotFound"),
        ("default:PyTorch:CPU:{model}", "default", "InvalidArgument"),
        ("default:GGML:AUTO:/etc/passwd", "default", "InvalidArgument"),
        ("default:GGML:AUTO:{model}", "nosuch", "NotFound"),
    ],
)
def test_what_cannot_be_loaded_ends_the_guest_not_the_host(
    run: Run, preload: str, name: str, error: str
) -> None:
    result = run("wasmedge-ggml-llama.wasm", name, CAPITAL, preload=preload)
    assert result.code == 134
    assert f"BackendError({error})" in result.err
    assert "Traceback" not in result.err


def test_nnrpc_computes_in_this_process(run: Run) -> None:
    result = run("wasmedge-ggml-nnrpc.wasm", "default", CAPITAL)
    assert result.code == 0, result.err
    assert info(result.out, "input") == [16, 16]
    assert info(result.out, "output")[0] > 1


def test_a_model_of_another_backend_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    for name in ("model.bin", "said.wav"):
        (tmp_path / name).write_bytes(b"anything")
    result = run("whisper-basic.wasm", "model.bin", "said.wav")
    assert result.code == 1
    assert "the WHISPER backend is not built in; GGML is" in result.err
    assert "BackendError(InvalidArgument)" in result.err


def test_llama_simple(run: Run) -> None:
    result = run("llama-simple.wasm", "-p", CAPITAL, "-n", "12", "-c", "512")
    assert result.code == 0, result.err
    assert "[INFO] prompt context size: 512\n" in result.out
    assert "\n[Answer]:\n" in result.out


def test_llama_chat(run: Run) -> None:
    """It takes the end of its input for one more empty line, for ever, as on WasmEdge."""
    result = run(
        "llama-chat.wasm", "-p", "chatml", "-n", "24", "-c", "512",
        stdin="What is the capital of France?\n/exit\n", options=["--time-limit", "20000"],
    )  # fmt: skip
    assert result.code == 134
    assert "[INFO] Prompt template: ChatML\n" in result.out
    turns = result.out.split("[You]:")
    assert len(turns) >= 3
    answer = turns[1].partition("[Bot]:\n")[2].strip()
    assert len(answer) > 3
