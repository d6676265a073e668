"""Writes GGUF files of tiny models, with random weights that a seed makes again.

A model's layers are drawn in the order of the calls, so another order makes another model.
"""

from collections.abc import Collection
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

CONTEXT = 512
WIDTH = 64
LAYERS = 2
HEADS = 4
FEED = 96
END = 2
"""The token that ends a text."""
SHARP = 8.0
"""How much larger the output weights are: it sets the best token well apart from the next."""
BRIEF = 4.0
"""How much larger still they are for the end of a text, which then soon comes."""
Scale = float | npt.NDArray[np.float64]

WORDS = (*"abcdefghijklmnopqrstuvwxyz", "\u2581", "\u2581the", "\u2581and", "\u2581sea")
"""The texts of a tiny model beside single bytes."""


class Writer:
    """A file at ``path``; with ``split``, files of so many tensors each."""

    def __init__(self, path: Path, architecture: str, seed: int, *, split: int = 0) -> None:
        self.gguf = gguf.GGUFWriter(str(path), architecture, split_max_tensors=split)
        self._random = np.random.default_rng(seed)

    def weights(self, name: str, *shape: int, scale: Scale = 1.0) -> None:
        """A tensor of random numbers, as large as keep what they are multiplied by its size."""
        values = self._random.standard_normal(shape) * scale / np.sqrt(shape[-1])
        self.gguf.add_tensor(name, values.astype(np.float32))

    def constant(self, name: str, *shape: int, value: float = 1.0) -> None:
        """A tensor of one number."""
        values: npt.NDArray[np.float32] = np.full(shape, value, dtype=np.float32)
        self.gguf.add_tensor(name, values)

    def matrix(
        self, name: str, rows: int, columns: int = WIDTH, *, bias: bool = True, scale: Scale = 1.0
    ) -> None:
        """Random weights, with a bias of zeros."""
        self.weights(f"{name}.weight", rows, columns, scale=scale)
        if bias:
            self.constant(f"{name}.bias", rows, value=0.0)

    def kernel(self, name: str, *shape: int) -> None:
        """A convolution's random weights (F16, as ggml has them), with a bias of zeros."""
        values: npt.NDArray[np.float64] = self._random.standard_normal(shape)
        values /= np.sqrt(float(np.prod(shape[1:])))
        self.gguf.add_tensor(f"{name}.weight", values.astype(np.float16))
        self.constant(f"{name}.bias", shape[0], 1, value=0.0)

    def norm(self, name: str, *shape: int, bias: bool = True) -> None:
        """A normalisation that changes nothing."""
        self.constant(f"{name}.weight", *shape)
        if bias:
            self.constant(f"{name}.bias", *shape, value=0.0)

    def sizes(self, *, layers: int = LAYERS) -> None:
        """The keys of a tiny model's sizes."""
        self.gguf.add_context_length(CONTEXT)
        self.gguf.add_embedding_length(WIDTH)
        self.gguf.add_block_count(layers)
        self.gguf.add_feed_forward_length(FEED)
        self.gguf.add_head_count(HEADS)
        self.gguf.add_layer_norm_rms_eps(1e-5)

    def sees(self, kind: str, *, size: int, patch: int, layers: int = LAYERS) -> None:
        """The keys of a projector of this ``kind`` for pictures of ``size`` pixels square."""
        keys = self.gguf
        keys.add_clip_has_vision_encoder(True)
        keys.add_clip_projector_type(kind)
        keys.add_vision_image_size(size)
        keys.add_vision_patch_size(patch)
        keys.add_vision_embedding_length(WIDTH)
        keys.add_vision_feed_forward_length(FEED)
        keys.add_vision_projection_dim(WIDTH)
        keys.add_vision_head_count(HEADS)
        keys.add_vision_block_count(layers)
        keys.add_vision_attention_layernorm_eps(1e-5)
        keys.add_vision_image_mean([0.5, 0.5, 0.5])
        keys.add_vision_image_std([0.5, 0.5, 0.5])

    def byte_tokens(self, size: int = 0) -> int:
        """A SentencePiece vocabulary: specials, every byte, letters and words; its size.

        It is ``size`` tokens at least, made up of further words.
        """
        special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
        tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + list(WORDS)
        words = [*WORDS, *(f"\u2581w{each}" for each in range(size - len(tokens)))]
        tokens += words[len(WORDS) :]
        types = [2, 3, 3, 3, 3] + [6] * 256 + [1] * len(words)
        self.gguf.add_tokenizer_model("llama")
        self.gguf.add_token_list(tokens)
        self.gguf.add_token_scores([0.0] * 261 + [float(len(word)) for word in words])
        self.gguf.add_token_types(types)
        self.gguf.add_bos_token_id(1)
        self.gguf.add_eos_token_id(END)
        self.gguf.add_eot_token_id(4)
        self.gguf.add_unk_token_id(0)
        return len(tokens)

    def decoder(
        self,
        vocabulary: int,
        key_heads: int,
        *,
        tied: bool = False,
        scale: float = WIDTH**0.5,
        brief: bool = False,
    ) -> None:
        """Layers of the llama architecture, with what is before and after them."""
        self.weights("token_embd.weight", vocabulary, WIDTH, scale=scale)
        self.norm("output_norm", WIDTH, bias=False)
        if not tied:
            sharp = np.full((vocabulary, 1), SHARP)
            sharp[END] *= BRIEF if brief else 1
            self.weights("output.weight", vocabulary, WIDTH, scale=sharp)
        for layer in range(LAYERS):
            self.norm(f"blk.{layer}.attn_norm", WIDTH, bias=False)
            self.heads(f"blk.{layer}", key_heads)
            self.norm(f"blk.{layer}.ffn_norm", WIDTH, bias=False)
            self.feed(f"blk.{layer}")

    def heads(self, block: str, key_heads: int) -> None:
        """Queries, keys, values and outputs, of ``key_heads`` for keys and values."""
        few = key_heads * WIDTH // HEADS
        for part, rows in (("q", WIDTH), ("k", few), ("v", few), ("output", WIDTH)):
            self.matrix(f"{block}.attn_{part}", rows, bias=False)

    def feed(self, block: str) -> None:
        """A feed-forward network with a gate."""
        self.matrix(f"{block}.ffn_gate", FEED, bias=False)
        self.matrix(f"{block}.ffn_up", FEED, bias=False)
        self.matrix(f"{block}.ffn_down", WIDTH, FEED, bias=False)

    def encoder(
        self,
        prefix: str,
        *,
        layers: int = LAYERS,
        output: str = "attn_out",
        norms: tuple[str, str] = ("ln1", "ln2"),
        without_bias: Collection[str] = (),
    ) -> None:
        """Layers that see all of a text, a picture or a recording, named ``prefix``.NUMBER."""
        for layer in range(layers):
            block = f"{prefix}.{layer}"
            for part in ("attn_q", "attn_k", "attn_v", output):
                self.matrix(f"{block}.{part}", WIDTH, bias=part not in without_bias)
            self.matrix(f"{block}.ffn_up", FEED)
            self.matrix(f"{block}.ffn_down", WIDTH, FEED)
            for norm in norms:
                self.norm(f"{block}.{norm}", WIDTH)

    def close(self) -> None:
        """Write the file."""
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()
