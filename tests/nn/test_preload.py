"""Reading ``--nn-preload``."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.errors import PreloadError
from llamaedge_host.nn import Encoding, Preload, Target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default:GGML:AUTO:m.gguf", ("default", Encoding.GGML, Target.AUTO, "m.gguf")),
        ("a:ggml:cpu:/x/y", ("a", Encoding.GGML, Target.CPU, "/x/y")),
        ("a:GGML:GPU:C:\\m.gguf", ("a", Encoding.GGML, Target.GPU, "C:\\m.gguf")),
        ("a:PyTorch:tpu:m", ("a", Encoding.PYTORCH, Target.TPU, "m")),
        ("a:PyTorchAOTI:cpu:m", ("a", Encoding.PYTORCH, Target.CPU, "m")),
    ],
)
def test_a_preload_is_read(text: str, expected: tuple[str, Encoding, Target, str]) -> None:
    assert Preload.parse(text) == Preload(*expected[:3], Path(expected[3]))


def test_a_leading_tilde_is_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert Preload.parse("a:GGML:AUTO:~/m.gguf").path == Path("/home/ada/m.gguf")
    assert Preload.parse("a:GGML:AUTO:~no one/m.gguf").path == Path("~no one/m.gguf")
    assert Preload.parse("a:GGML:AUTO:m~").path == Path("m~")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("default", "name:ENCODING:TARGET:path"),
        ("default:GGML:AUTO", "name:ENCODING:TARGET:path"),
        ("default:GGML:AUTO:", "name:ENCODING:TARGET:path"),
        (":GGML:AUTO:m", "name:ENCODING:TARGET:path"),
        ("default:FOO:AUTO:m", "encoding 'FOO'"),
        ("default:GGML:XPU:m", "target 'XPU'"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    with pytest.raises(PreloadError) as raised:
        Preload.parse(text)
    assert named in str(raised.value)
    assert repr(text) in str(raised.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        preload = Preload.parse(text)
    except PreloadError:
        return
    assert preload.name and preload.name in text
