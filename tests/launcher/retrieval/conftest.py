"""A server with vector stores, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from .embedding_guest import EmbeddingGuest
from .serving import serving


@pytest.fixture
def guest() -> EmbeddingGuest:
    return EmbeddingGuest()


@pytest.fixture
def client(tmp_path: Path, guest: EmbeddingGuest) -> Iterator[openai.OpenAI]:
    with serving(tmp_path / "data", guest) as client:
        yield client
