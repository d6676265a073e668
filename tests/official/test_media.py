"""The official guests that see, speak or use two models, on models of random weights.

They are run as their READMEs say, with the picture in the guest's directory; what such models
say means nothing.
"""

import re
import subprocess
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import wasmedge

from ..models import speech, tiny, vision
from ..models.pictures import gif, png, tag
from .conftest import Run
from .test_examples import info

Make = Callable[..., Path]

SEEING: dict[str, tuple[Make, Make, str]] = {
    "llava": (tiny.llama, tiny.projector, "USER:<image>\nwhat is it\nASSISTANT:"),
    "gemma-3": (
        *(tiny.llama, vision.gemma_projector),
        "<start_of_turn>user\n<start_of_image><image><end_of_image>sea<end_of_turn>\n",
    ),
    "qwen2vl": (
        *(vision.qwen, vision.qwen_projector),
        "<|im_start|>user\n<|vision_start|><image><|vision_end|>sea<|im_end|>\n",
    ),
    "gemma-4": (vision.gemma4, vision.gemma4_projector, "the sea"),
}
"""Each guest's model, projector and prompt."""
INLINE = {"llava-base64-stream": "llava", "gemma-3-base64": "gemma-3"}
"""Guests that have their picture in the prompt, and whose models they use."""


@dataclass(frozen=True)
class Seeing:
    """What the guest ``name`` is run with."""

    name: str
    model: Path
    projector: Path
    prompt: str

    @property
    def guest(self) -> str:
        return f"wasmedge-ggml-{self.name}.wasm"

    @property
    def preload(self) -> str:
        return f"default:GGML:AUTO:{self.model}"


def prepared(name: str, folder: Path) -> Seeing:
    """The models of the guest ``name``, and a picture beside them."""
    model, projector, prompt = SEEING[INLINE.get(name, name)]
    (folder / "sea.png").write_bytes(png((0, 90, 255), 64))
    return Seeing(
        name,
        model(folder / "model.gguf", brief=True),
        projector(folder / "mmproj.gguf"),
        prompt,
    )


@pytest.fixture(params=SEEING)
def seeing(request: pytest.FixtureRequest, tmp_path: Path) -> Seeing:
    return prepared(request.param, tmp_path)


def test_a_picture_is_seen(run: Run, seeing: Seeing) -> None:
    env = [f"mmproj={seeing.projector}", "image=sea.png", "ctx_size=512"]
    result = run(seeing.guest, "default", seeing.prompt, env=env, preload=seeing.preload)
    assert result.code == 0, result.err
    assert result.out.startswith("Prompt:\n")
    assert "<image>" in result.out.partition("Response:")[0]
    before, after = info(result.out, "input")
    assert before == after > 16
    assert info(result.out, "output")[0] >= 1
    assert re.search(r'llama_commit: "[0-9a-f]+"', result.out)


def test_a_picture_outside_the_guests_directories_is_not_read(run: Run, tmp_path: Path) -> None:
    seeing = prepared("llava", tmp_path)
    env = [f"mmproj={seeing.projector}", "image=/elsewhere/sea.png", "ctx_size=512"]
    result = run(seeing.guest, "default", seeing.prompt, env=env, preload=seeing.preload)
    assert result.code == 134
    assert "BackendError(InvalidArgument)" in result.err
    assert "/elsewhere/sea.png cannot be read" in result.err
    assert "--dir" in result.err


@pytest.mark.parametrize("name", INLINE)
def test_a_picture_in_the_prompt_is_seen(run: Run, tmp_path: Path, name: str) -> None:
    seeing = prepared(name, tmp_path)
    env = [f"mmproj={seeing.projector}", "ctx_size=512"]
    prompt = seeing.prompt.replace("<image>", tag(gif((9, 99, 0))).decode())
    result = run(seeing.guest, "default", prompt, env=env, preload=seeing.preload)
    assert result.code == 0, result.err
    assert result.out.startswith(f"Prompt:\n{prompt}\nResponse:\n")


def conversation(folder: Path, arguments: Sequence[str], turns: Sequence[str]) -> str:
    """What a guest run in ``folder`` writes that is asked ``turns``, until it waits for more."""
    process = subprocess.Popen(
        wasmedge(*arguments),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    said = b""
    try:
        for turn in (*turns, None):
            while not (piece := process.stdout.readline()).endswith(b"USER:\n"):
                assert piece, said
                said += piece
            said += piece
            if turn is not None:
                process.stdin.write(turn.encode() + b"\n")
                process.stdin.flush()
    finally:
        process.kill()
        process.wait()
    return said.decode(errors="replace")


@pytest.mark.parametrize("name", [*SEEING, *INLINE])
def test_a_conversation_about_a_picture(guests: Path, tmp_path: Path, name: str) -> None:
    """The guest's own picture or that of a file, in its first turn and again in its second."""
    seeing = prepared(name, tmp_path)
    image = [] if name in INLINE else ["--env", "image=sea.png"]
    said = conversation(
        tmp_path,
        [
            "--dir", ".:.", "--env", f"mmproj={seeing.projector.name}", *image,
            "--nn-preload", f"default:GGML:AUTO:{seeing.model.name}",
            str((guests / seeing.guest).resolve()), "default",
        ],
        ["what is it", "and the sea"],
    )  # fmt: skip
    assert said.count("USER:\n") == 3
    assert said.count("ASSISTANT:\n") == 2
    assert "ERROR" not in said


def test_a_model_that_sees_and_one_that_sums_up(run: Run, tmp_path: Path) -> None:
    seeing = prepared("llava", tmp_path)
    other = tiny.llama(tmp_path / "other.gguf", seed=1, brief=True)
    result = run(
        "wasmedge-ggml-multimodel.wasm", "describe this picture please",
        env=[f"mmproj={seeing.projector}", "image=sea.png"],
        preload=f"llava:GGML:AUTO:{seeing.model}",
        options=["--nn-preload", f"llama2:GGML:AUTO:{other}"],
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "ERROR" not in result.out
    titles = re.findall(r"^(USER|ASSISTANT.*):$", result.out, re.MULTILINE)
    assert titles == ["USER", "ASSISTANT (llava)", "ASSISTANT (llama2)"]


@pytest.mark.parametrize(
    "profile", [None, '{"words": [{"word": "a", "duration": 0.1, "codes": [3]}]}']
)
def test_a_text_is_spoken(run: Run, tmp_path: Path, profile: str | None) -> None:
    """The guest writes the sound that it reads beside the one that the host writes."""
    speaker = speech.speaker(tmp_path / "speaker.gguf")
    vocoder = speech.vocoder(tmp_path / "vocoder.gguf")
    env = ["tts_output_file=said.wav", f"model_vocoder={vocoder}", "n_predict=40", "ctx_size=512"]
    if profile is not None:
        (tmp_path / "speaker.json").write_text(profile)
        env.append("tts_speaker_file=speaker.json")
    result = run(
        "wasmedge-ggml-tts.wasm", "default", "Hello, world.", env=env,
        preload=f"default:GGML:AUTO:{speaker}",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.out.startswith("Prompt:\nHello, world.\n[INFO] llama_commit: ")
    assert result.out.endswith(
        '[INFO] Plugin writes output to file "said.wav"\n'
        "[INFO] Write output buffer to file output-buffer.wav\n"
    )
    assert (tmp_path / "output-buffer.wav").read_bytes() == (tmp_path / "said.wav").read_bytes()
    with wave.open(str(tmp_path / "said.wav")) as sound:
        assert sound.getframerate() == 24_000
        assert sound.getnframes() > 0


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("command-r", "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{}<|END_OF_TURN_TOKEN|>"),
        ("phi-3", "<|user|>\n{} <|end|>\n<|assistant|>"),
        ("gemma", "<start_of_turn>user {} <end_of_turn><start_of_turn>model"),
    ],
)
def test_a_text_is_answered(run: Run, tmp_path: Path, name: str, turns: str) -> None:
    model = tiny.llama(tmp_path / "model.gguf", brief=True)
    prompt = turns.format("the sea")
    result = run(
        f"wasmedge-ggml-{name}.wasm", "default", prompt,
        env=["ctx_size=512"], preload=f"default:GGML:AUTO:{model}",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert f"Prompt:\n{prompt}\nResponse:\n" in result.out
    assert "</s>" in result.out
