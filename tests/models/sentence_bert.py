"""all-MiniLM-L6-v2 in numpy, from its safetensors: what its GGUF is measured by.

Source: the model's own config.json, modules.json (mean pooling, then length 1) and tokenizer.json.
"""

from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
Array = npt.NDArray[np.float32]
_erf = np.vectorize(erf, otypes=[np.float32])


class Reference:
    def __init__(self, folder: Path) -> None:
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def embed(self, text: str) -> Array:
        """The vector of ``text``, of length 1."""
        tokens = self.tokens(text)
        states = self.weights["embeddings.word_embeddings.weight"][tokens]
        states = states + self.weights["embeddings.position_embeddings.weight"][: len(tokens)]
        states = states + self.weights["embeddings.token_type_embeddings.weight"][0]
        states = self._norm("embeddings.LayerNorm", states)
        for layer in range(LAYERS):
            states = self._layer(f"encoder.layer.{layer}", states)
        pooled: Array = states.mean(axis=0)
        return pooled / np.linalg.norm(pooled)

    def _layer(self, name: str, states: Array) -> Array:
        size = states.shape[1] // HEADS
        query, key, value = (
            self._dense(f"{name}.attention.self.{part}", states)
            .reshape(-1, HEADS, size)
            .transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / sqrt(size)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        seen = (weights @ value).transpose(1, 0, 2).reshape(states.shape)
        attended = self._dense(f"{name}.attention.output.dense", seen)
        states = self._norm(f"{name}.attention.output.LayerNorm", states + attended)
        inner = self._dense(f"{name}.intermediate.dense", states)
        inner = inner * 0.5 * (1.0 + _erf(inner / sqrt(2.0)))
        return self._norm(
            f"{name}.output.LayerNorm", states + self._dense(f"{name}.output.dense", inner)
        )

    def _dense(self, name: str, states: Array) -> Array:
        found: Array = states @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return found

    def _norm(self, name: str, states: Array) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        found: Array = scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return found
