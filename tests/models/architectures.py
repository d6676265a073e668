"""A model of each of many architectures, with random weights, which llama.cpp really loads.

They are a few megabytes each, so that weights, caches and buffers all count.
"""

from collections.abc import Callable
from pathlib import Path

from .writer import Scale, Writer

WIDTH, HEADS, KEY_HEADS, FEED, LAYERS = 256, 8, 4, 512, 6
HEAD = WIDTH // HEADS
CONTEXTS = {
    "llama": 1024,
    "qwen2": 2048,
    "qwen3": 4096,
    "qwen3moe": 1280,
    "phi3": 2304,
    "gpt2": 768,
    "falcon": 2560,
    "starcoder2": 1536,
    "olmo2": 3072,
    "gemma3": 3584,
    "deepseek2": 1792,
}
"""Tokens of each one's context."""


class _Model(Writer):
    def __init__(self, path: Path, architecture: str) -> None:
        super().__init__(path, architecture, seed=0)
        self.gguf.add_chat_template(f"{architecture}: {{{{ messages[0].content }}}}")
        self.gguf.add_context_length(CONTEXTS[architecture])
        self.gguf.add_embedding_length(WIDTH)
        self.gguf.add_block_count(LAYERS)
        self.gguf.add_feed_forward_length(FEED)
        self.gguf.add_head_count(HEADS)
        self.gguf.add_head_count_kv(KEY_HEADS)
        self.gguf.add_layer_norm_rms_eps(1e-5)
        self.gguf.add_layer_norm_eps(1e-5)
        self.vocabulary = self.byte_tokens()
        self.weights("token_embd.weight", self.vocabulary, WIDTH)

    def matrix(
        self, name: str, rows: int, columns: int = WIDTH, *, bias: bool = False, scale: Scale = 1.0
    ) -> None:
        super().matrix(name, rows, columns, bias=bias, scale=scale)

    def norm(self, name: str, *shape: int, bias: bool = False) -> None:
        super().norm(name, *(shape or (WIDTH,)), bias=bias)

    def attention(self, block: str, *, bias: bool = False, output_bias: bool = False) -> None:
        self.matrix(f"{block}.attn_q", WIDTH, bias=bias)
        self.matrix(f"{block}.attn_k", KEY_HEADS * HEAD, bias=bias)
        self.matrix(f"{block}.attn_v", KEY_HEADS * HEAD, bias=bias)
        self.matrix(f"{block}.attn_output", WIDTH, bias=output_bias)

    def gated(self, block: str) -> None:
        self.matrix(f"{block}.ffn_gate", FEED)
        self.plain(block)

    def plain(self, block: str, *, bias: bool = False) -> None:
        self.matrix(f"{block}.ffn_up", FEED, bias=bias)
        self.matrix(f"{block}.ffn_down", WIDTH, FEED, bias=bias)


def _llama(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm")
    file.attention(block)
    file.norm(f"{block}.ffn_norm")
    file.gated(block)


def _qwen2(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm")
    file.attention(block, bias=True)
    file.norm(f"{block}.ffn_norm")
    file.gated(block)


def _qwen3(file: _Model, block: str) -> None:
    _llama(file, block)
    file.norm(f"{block}.attn_q_norm", HEAD)
    file.norm(f"{block}.attn_k_norm", HEAD)


EXPERTS, EXPERT = 4, 128


def _qwen3moe(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm")
    file.attention(block)
    file.norm(f"{block}.attn_q_norm", HEAD)
    file.norm(f"{block}.attn_k_norm", HEAD)
    file.norm(f"{block}.ffn_norm")
    file.matrix(f"{block}.ffn_gate_inp", EXPERTS)
    file.weights(f"{block}.ffn_gate_exps.weight", EXPERTS, EXPERT, WIDTH)
    file.weights(f"{block}.ffn_up_exps.weight", EXPERTS, EXPERT, WIDTH)
    file.weights(f"{block}.ffn_down_exps.weight", EXPERTS, WIDTH, EXPERT)


def _phi3(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm")
    file.matrix(f"{block}.attn_qkv", WIDTH + 2 * KEY_HEADS * HEAD)
    file.matrix(f"{block}.attn_output", WIDTH)
    file.norm(f"{block}.ffn_norm")
    file.matrix(f"{block}.ffn_up", 2 * FEED)
    file.matrix(f"{block}.ffn_down", WIDTH, FEED)


def _gpt2(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm", bias=True)
    file.matrix(f"{block}.attn_qkv", 3 * WIDTH, bias=True)
    file.matrix(f"{block}.attn_output", WIDTH, bias=True)
    file.norm(f"{block}.ffn_norm", bias=True)
    file.plain(block, bias=True)


def _falcon(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm", bias=True)
    file.matrix(f"{block}.attn_qkv", WIDTH + 2 * KEY_HEADS * HEAD)
    file.matrix(f"{block}.attn_output", WIDTH)
    file.plain(block)


def _starcoder2(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm", bias=True)
    file.attention(block, bias=True, output_bias=True)
    file.norm(f"{block}.ffn_norm", bias=True)
    file.plain(block, bias=True)


def _olmo2(file: _Model, block: str) -> None:
    file.attention(block)
    file.norm(f"{block}.attn_q_norm")
    file.norm(f"{block}.attn_k_norm", KEY_HEADS * HEAD)
    file.norm(f"{block}.post_attention_norm")
    file.gated(block)
    file.norm(f"{block}.post_ffw_norm")


def _gemma3(file: _Model, block: str) -> None:
    _qwen3(file, block)
    file.norm(f"{block}.post_attention_norm")
    file.norm(f"{block}.post_ffw_norm")


RANK, ROTATED, UNROTATED, VALUE = 64, 16, 32, 32


def _deepseek2(file: _Model, block: str) -> None:
    file.norm(f"{block}.attn_norm")
    file.matrix(f"{block}.attn_q_a", RANK)
    file.norm(f"{block}.attn_q_a_norm", RANK)
    file.matrix(f"{block}.attn_q_b", HEADS * (ROTATED + UNROTATED), RANK)
    file.matrix(f"{block}.attn_kv_a_mqa", RANK + ROTATED)
    file.norm(f"{block}.attn_kv_a_norm", RANK)
    file.weights(f"{block}.attn_k_b.weight", HEADS, RANK, UNROTATED)
    file.weights(f"{block}.attn_v_b.weight", HEADS, VALUE, RANK)
    file.matrix(f"{block}.attn_output", WIDTH, HEADS * VALUE)
    file.norm(f"{block}.ffn_norm")
    file.gated(block)


_BLOCKS: dict[str, Callable[[_Model, str], None]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3moe": _qwen3moe,
    "phi3": _phi3,
    "gpt2": _gpt2,
    "falcon": _falcon,
    "starcoder2": _starcoder2,
    "olmo2": _olmo2,
    "gemma3": _gemma3,
    "deepseek2": _deepseek2,
}


def _keys(file: _Model, name: str) -> None:
    """What one architecture has of metadata that others have not."""
    keys = file.gguf
    if name == "gemma3":
        keys.add_sliding_window(128)
        keys.add_key_length(HEAD)
        keys.add_value_length(HEAD)
    elif name == "qwen3moe":
        keys.add_expert_count(EXPERTS)
        keys.add_expert_used_count(2)
        keys.add_expert_feed_forward_length(EXPERT)
    elif name == "deepseek2":
        keys.add_q_lora_rank(RANK)
        keys.add_kv_lora_rank(RANK)
        keys.add_key_length(RANK + ROTATED)
        keys.add_value_length(RANK)
        keys.add_key_length_mla(ROTATED + UNROTATED)
        keys.add_value_length_mla(VALUE)
        keys.add_leading_dense_block_count(LAYERS)
        keys.add_expert_count(EXPERTS)
        keys.add_expert_used_count(2)
        keys.add_expert_feed_forward_length(EXPERT)
        keys.add_expert_shared_count(1)
        keys.add_expert_weights_scale(1.0)
        keys.add_vocab_size(file.vocabulary)
    if name != "gpt2":
        keys.add_rope_dimension_count(ROTATED if name == "deepseek2" else HEAD)


def model(path: Path, name: str) -> Path:
    """A model of the architecture ``name``, one of CONTEXTS."""
    file = _Model(path, name)
    if name == "gpt2":
        file.weights("position_embd.weight", CONTEXTS[name], WIDTH)
    if name in ("deepseek2", "gpt2"):
        heads = 1 if name == "deepseek2" else HEADS
        del file.gguf.kv_data[0][f"{name}.attention.head_count_kv"]
        file.gguf.add_head_count_kv(heads)
    _keys(file, name)
    for layer in range(LAYERS):
        _BLOCKS[name](file, f"blk.{layer}")
    file.norm("output_norm", bias=name in ("gpt2", "falcon", "starcoder2"))
    if name != "gemma3":
        file.matrix("output", file.vocabulary)
    file.close()
    return path
