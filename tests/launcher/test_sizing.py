"""What the worker tells its guests of context, batch, threads and layers."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llamaedge_host import NeuralNetwork, Preload, PreloadError
from llamaedge_host.ggml.llama import capacity
from llamaedge_host.ggml.llama.library import cpus
from llamaedge_launcher.control import Sized, decode_event, encode_event
from llamaedge_launcher.sizing import suited

from ..models import tiny
from ..models.sized import deepened, llama
from .running import running

EMBEDDING = ("--prompt-template=chatml,embedding", "--model-name=a,b")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.llama(tmp_path / "model.gguf", template="{{ messages[0].content }}")


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    path = tmp_path / "guest.wasm"
    path.write_bytes(b"ctx-sizebatch-sizeubatch-sizeNumber of threads to usen-gpu-layers")
    return path


@contextmanager
def network(*models: Path) -> Iterator[NeuralNetwork]:
    names = ("default", "embedding")
    preloads = [
        Preload.parse(f"{name}:GGML:AUTO:{path}") for name, path in zip(names, models, strict=False)
    ]
    nn = NeuralNetwork(preloads)
    yield nn
    nn.close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", f"--ctx-size=512 --batch-size=512 --ubatch-size=512 --threads={cpus()}"),
        ("--ctx-size=0", f"--ctx-size=512 --batch-size=512 --ubatch-size=512 --threads={cpus()}"),
        ("--ctx-size=300 --threads=1", "--ctx-size=300 --batch-size=300 --ubatch-size=300"),
        ("--batch-size=64", f"--ctx-size=512 --batch-size=64 --ubatch-size=64 --threads={cpus()}"),
        ("--ubatch-size=4", f"--ctx-size=512 --batch-size=512 --ubatch-size=4 --threads={cpus()}"),
        (
            "--batch-size=9999 --ubatch-size=99",
            f"--ctx-size=512 --batch-size=9999 --ubatch-size=99 --threads={cpus()}",
        ),
    ],
)
def test_what_was_not_given_suits_the_model(
    model: Path, guest: Path, given: str, told: str
) -> None:
    with network(model) as nn:
        args, sized = suited(["--temp=0", *given.split()], guest, nn)
    layers = "--n-gpu-layers=0"
    kept = [each for each in given.split() if each.startswith("--threads")]
    assert sorted(args) == sorted(["--temp=0", *kept, *told.split(), layers])
    assert [each.name for each in sized.models] == ["default"]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("--cache-type-k=f32", 1.5),
        ("--cache-type-k=f32 --cache-type-v=f32", 2),
        ("--cache-type-v=bf16 --threads-batch=1", 1),
    ],
)
def test_the_types_of_the_cache_are_counted(
    model: Path, guest: Path, given: str, part: float
) -> None:
    with network(model) as nn:
        plain = suited([], guest, nn)[1].models[0].cache
        assert suited(given.split(), guest, nn)[1].models[0].cache == part * plain


def test_a_guest_is_told_of_a_smaller_cache(
    tmp_path: Path, guest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest.write_bytes(guest.read_bytes() + b"cache-type-kcache-type-v")
    model = llama(tmp_path / "wide.gguf", width=64, layers=2, feed=64, context=4096)
    asked = ["--ctx-size=4096", "--batch-size=32"]
    with network(model) as nn:
        (small,) = suited([*asked, "--cache-type-k=q8_0", "--cache-type-v=q8_0"], guest, nn)[
            1
        ].models
        enough = small.weights + small.cache // small.parallel + small.buffers
        monkeypatch.setattr(capacity, "available_memory", lambda: enough)
        args, (model_,) = suited(asked, guest, nn)[0], suited(asked, guest, nn)[1].models
        assert {"--cache-type-k=q8_0", "--cache-type-v=q8_0"} <= set(args)
        assert model_.smaller
        assert model_.context == 4096
        with pytest.raises(PreloadError, match="4096 tokens"):
            suited([*asked, "--cache-type-k=f16", "--cache-type-v=f16"], guest, nn)


def test_a_model_that_drafts_is_counted_and_one_that_cannot_is_refused(
    tmp_path: Path, model: Path, guest: Path
) -> None:
    large = deepened(model, tmp_path / "large.gguf", 8)
    with network(large, model) as nn:
        (plain,) = suited([], guest, nn)[1].models[:1]
        (drafted,) = suited(["--draft-model=embedding"], guest, nn)[1].models[:1]
        assert drafted.weights > plain.weights
        assert drafted.cache > plain.cache
    with network(model, large) as nn, pytest.raises(PreloadError, match="'default': the draft mod"):
        suited(["--draft-model=embedding"], guest, nn)


def test_an_embedding_model_takes_inputs_as_long_as_its_context(
    model: Path, guest: Path, tmp_path: Path
) -> None:
    with network(model, tiny.bert(tmp_path / "bert.gguf")) as nn:
        args, sized = suited([*EMBEDDING, "--ctx-size=256"], guest, nn)
    assert "--ctx-size=256,512" in args
    assert "--batch-size=256,512" in args
    assert [each.parallel for each in sized.models] == [8, 32]
    assert decode_event(encode_event(sized)) == sized


def test_a_guest_is_told_only_what_it_has_an_option_for(model: Path, tmp_path: Path) -> None:
    guest = tmp_path / "old.wasm"
    guest.write_bytes(b"ctx-size num_running_threads")
    with network(model) as nn:
        assert suited([], guest, nn)[0] == ("--ctx-size=512",)
        assert suited([], tmp_path / "missing.wasm", nn)[0] == ()


def test_a_guest_without_models_is_left_alone(guest: Path) -> None:
    with network() as nn:
        assert suited(["tell", "--me"], guest, nn)[0] == ("tell", "--me")


def test_models_that_start_together_share_what_is_free(
    model: Path, guest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = []
    with network(model) as nn:
        alone = suited(["--batch-size=32"], guest, nn)[1].models[0]
        enough = alone.weights + int((alone.cache / 4 + alone.buffers) / capacity.CONTEXT.here) + 1
        monkeypatch.setattr(capacity, "available_memory", lambda: enough)
        for sharing in 1, 2:
            _, sized = suited(["--batch-size=32"], guest, nn, sharing=sharing)
            contexts.append(sized.models[0].context)
        given = suited(["--batch-size=32", "--ctx-size=512"], guest, nn, sharing=9)[1]
    assert contexts == [512, 256]
    assert given.models[0].context == 512


def test_what_does_not_fit_is_refused_by_name(
    model: Path, guest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "available_memory", lambda: 4_000_000)
    why = r"model 'default': .* 99999 tokens .* beside .* of weights, .*; \d+ tokens fit$"
    with network(model) as nn, pytest.raises(PreloadError, match=why):
        suited(["--ctx-size=99999"], guest, nn)


def test_a_start_shows_what_is_taken_and_what_is_not_as_given(tmp_path: Path, model: Path) -> None:
    given = ("--threads", "999", "--ubatch-size", "4096", "--n-gpu-layers", "7")
    with running(tmp_path, str(model), *given, threads=None) as server:
        url = server.wait_ready()
        with urllib.request.urlopen(f"{url}/v1/info") as answer:
            assert json.load(answer)["chat_model"]["ctx_size"] == tiny.CONTEXT
        shown = server.terminal.read_text()
    assert "context  512 tokens, 8 answers at once\n" in shown
    parts = r"weights \S+ [kM]B, cache \S+ [kM]B as used, buffers \S+ [kM]B; "
    assert re.search(rf"memory   up to \S+ [kM]B: {parts}", shown)
    for line in (
        f"threads 999 becomes {cpus()}",
        "ubatch-size 4096 becomes 512: ",
        "n-gpu-layers 7: there is no GPU",
    ):
        assert shown.count(line) == 1, shown


def test_an_event_without_models_is_read() -> None:
    assert decode_event(encode_event(Sized((), 7))) == Sized((), 7)
