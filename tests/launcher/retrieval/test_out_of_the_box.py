"""`llamaedge run --embeddings demo`: from a text to the chunk that answers a question."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

from ...models.sentence_bert import Reference
from ..running import running

LISBON = """\
# Lisbon

Lisbon is the capital of Portugal and its largest city, at the mouth of the Tagus. It is older \
than Rome: Phoenicians traded here about 1200 BC.

## The earthquake

On the morning of 1 November 1755 the ground shook for six minutes. A wave from the sea and fires \
that burned for days did the rest. Most of the city was rebuilt on a grid of straight streets, \
with houses whose wooden frames were tested by soldiers marching around them.

## Getting around

Yellow trams climb the hills since 1901; number 28 is the best known. Three funiculars and an iron \
lift help people up the steepest streets.

## Food

Custard tarts come warm from the oven, dusted with cinnamon. Sardines are grilled in the streets \
in June.
"""
QUESTIONS = {
    "When was the city destroyed?": "1 November 1755",
    "How do I get up a steep street?": "funiculars",
    "What sweet pastry can I eat there?": "Custard tarts",
    "Which country is it the capital of?": "capital of Portugal",
}


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, minilm: Path
) -> Iterator[openai.OpenAI]:
    folder = tmp_path_factory.mktemp("server")
    with running(folder, "--embeddings", "demo", "--ctx-size", "1024", "--parallel", "2") as server:
        url = f"{server.wait_ready()}/v1"
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=90) as client:
            yield client


def test_a_question_finds_its_chunk(client: openai.OpenAI) -> None:
    store = client.vector_stores.create(name="cities")
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id,
        file=("lisbon.md", LISBON.encode()),
        chunking_strategy={
            "type": "static",
            "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0},
        },
    )
    assert file.status == "completed", file.last_error
    for question, answer in QUESTIONS.items():
        first, *_ = client.vector_stores.search(store.id, query=question)
        assert answer in first.content[0].text, question
        assert first.filename == "lisbon.md"
        assert 0 < first.score < 1


def test_embeddings_are_the_models_own(client: openai.OpenAI, minilm_files: Path) -> None:
    texts = ["When was the city destroyed?", LISBON]
    answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    assert answer.model == "all-MiniLM-L6-v2"
    reference = Reference(minilm_files)
    for text, found in zip(texts, answer.data, strict=True):
        np.testing.assert_allclose(found.embedding, reference.embed(text), atol=1e-3)
        assert np.linalg.norm(found.embedding) == pytest.approx(1.0, abs=1e-4)


def test_the_chat_model_is_there_beside(client: openai.OpenAI) -> None:
    assert "all-MiniLM-L6-v2" in [each.id for each in client.models.list()]
    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": "Hi"}], max_tokens=4
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
