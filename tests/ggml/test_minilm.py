"""The GGUF that is made of all-MiniLM-L6-v2's safetensors embeds as they do."""

import json
from pathlib import Path

import numpy as np
import pytest

from ..models.sentence_bert import Reference
from .conftest import Load, run

TEXTS = {
    "short": "Paris is the capital of France.",
    "question": "What is the capital of France?",
    "punctuation": "Hello, World! (it's 3.14; e-mail: a@b.c) #1 \u2014 \u201cquotes\u201d\u2026",
    "accents": "Île-de-France, Zürich, naïve café, A\u0301ngström, Việt Nam tiếng Việt",
    "scripts": "日本語のテキスト、漢字 Привет, мир! مرحبا بالعالم ΑΒΓ αβγ",
    "signs": "\U0001f600 12,345.67€ £5 50% ﬀ ① ² ½ ™ \u00a0non\u200bbreaking\u00adsoft",
    "pieces": "antidisestablishmentarianism def f(x): return x**2  # code_here",
    "space": "a\n\nb\tc   d",
    "nothing": "",
    "long": "The quick brown fox jumps over the lazy dog. " * 45,
}


@pytest.fixture(scope="module")
def reference(minilm_files: Path) -> Reference:
    return Reference(minilm_files)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_embedding_is_the_safetensors_own(
    load: Load, minilm: Path, reference: Reference, text: str
) -> None:
    context = load(minilm, embedding=True, ctx_size=512).context()
    found = np.array(json.loads(run(context, text.encode()))["embedding"])
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(found, reference.embed(text), atol=1e-3)


def test_meanings_that_are_near_have_vectors_that_are_near(load: Load, minilm: Path) -> None:
    context = load(minilm, embedding=True).context()
    texts = ("How do I bake bread?", "A recipe for a loaf", "The moons of Jupiter")
    bread, loaf, moons = (
        np.array(json.loads(run(context, text.encode()))["embedding"]) for text in texts
    )
    assert bread @ loaf > 2 * abs(bread @ moons)
