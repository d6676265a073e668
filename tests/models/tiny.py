"""Models of a few hundred kilobytes with random weights, which llama.cpp really loads.

Each function writes one GGUF file; the same seed gives the same file.
"""

from pathlib import Path

import gguf

from .writer import CONTEXT, HEADS, LAYERS, SHARP, WIDTH, Writer

_LOUD = 3.0  # what layers add outweighs the token itself, which tied weights would repeat

INFILL = (5, 6, 7)
"""The tokens of a model that fills in gaps: before a gap, behind it, and in it."""


def llama(
    path: Path,
    *,
    seed: int = 0,
    brief: bool = False,
    template: str = "",
    split: int = 0,
    infill: bool = False,
) -> Path:
    """A decoder of the llama architecture; a ``brief`` one soon ends its texts.

    One for ``infill`` has the tokens of INFILL. With ``split``, in files of so many tensors each,
    named by llama.cpp's rule.
    """
    file = Writer(path, "llama", seed, split=split)
    if template:
        file.gguf.add_chat_template(template)
    for name, token in zip(("pre", "suf", "mid"), INFILL, strict=True):
        if infill:
            file.gguf.add_uint32(f"tokenizer.ggml.fim_{name}_token_id", token)
    file.sizes()
    file.gguf.add_head_count_kv(HEADS // 2)
    file.gguf.add_rope_dimension_count(WIDTH // HEADS)
    size = file.byte_tokens()
    file.decoder(size, HEADS // 2, brief=brief)
    file.close()
    return path


def lora(path: Path, *, seed: int = 1, architecture: str = "llama", rank: int = 4) -> Path:
    """An adapter of every layer's queries and outputs, for a decoder of ``architecture``."""
    file = Writer(path, architecture, seed)
    file.gguf.add_string("general.type", "adapter")
    file.gguf.add_string("adapter.type", "lora")
    file.gguf.add_float32("adapter.lora.alpha", float(rank))
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_output"):
            file.weights(f"blk.{layer}.{name}.weight.lora_a", rank, WIDTH, scale=4.0)
            file.weights(f"blk.{layer}.{name}.weight.lora_b", WIDTH, rank, scale=4.0)
    file.close()
    return path


def gemma(path: Path, *, seed: int = 0) -> Path:
    """A decoder of the gemma2 architecture: every other layer sees a window of 32 tokens."""
    file = Writer(path, "gemma2", seed)
    file.sizes()
    file.gguf.add_head_count_kv(HEADS)
    file.gguf.add_key_length(WIDTH // HEADS)
    file.gguf.add_value_length(WIDTH // HEADS)
    file.gguf.add_sliding_window(32)
    size = file.byte_tokens()
    file.decoder(size, HEADS, tied=True, scale=1.0)
    for layer in range(LAYERS):
        file.constant(f"blk.{layer}.post_attention_norm.weight", WIDTH, value=_LOUD)
        file.constant(f"blk.{layer}.post_ffw_norm.weight", WIDTH, value=_LOUD)
    file.close()
    return path


def mamba(path: Path, *, seed: int = 0) -> Path:
    """A recurrent model of the mamba architecture: its memory cannot be cut."""
    inner, state, convolution, rank = 2 * WIDTH, 8, 4, 4
    file = Writer(path, "mamba", seed)
    file.gguf.add_context_length(CONTEXT)
    file.gguf.add_embedding_length(WIDTH)
    file.gguf.add_feed_forward_length(0)
    file.gguf.add_head_count(0)
    file.gguf.add_block_count(LAYERS)
    file.gguf.add_layer_norm_rms_eps(1e-5)
    file.gguf.add_ssm_conv_kernel(convolution)
    file.gguf.add_ssm_inner_size(inner)
    file.gguf.add_ssm_state_size(state)
    file.gguf.add_ssm_time_step_rank(rank)
    size = file.byte_tokens()
    file.weights("token_embd.weight", size, WIDTH, scale=WIDTH**0.5)
    file.constant("output_norm.weight", WIDTH)
    file.weights("output.weight", size, WIDTH, scale=SHARP)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", WIDTH)
        file.weights(f"{block}.ssm_in.weight", 2 * inner, WIDTH)
        file.weights(f"{block}.ssm_conv1d.weight", inner, convolution)
        file.constant(f"{block}.ssm_conv1d.bias", inner, value=0.0)
        file.weights(f"{block}.ssm_x.weight", rank + 2 * state, inner)
        file.weights(f"{block}.ssm_dt.weight", inner, rank)
        file.constant(f"{block}.ssm_dt.bias", inner, value=0.1)
        file.constant(f"{block}.ssm_a", inner, state, value=-1.0)
        file.constant(f"{block}.ssm_d", inner)
        file.weights(f"{block}.ssm_out.weight", WIDTH, inner)
    file.close()
    return path


def lfm2(path: Path, *, seed: int = 0) -> Path:
    """A hybrid of the lfm2 architecture: a layer with a short memory, and one of attention."""
    memory, key_heads = 3, HEADS // 2
    file = Writer(path, "lfm2", seed)
    file.sizes()
    file.gguf.add_head_count_kv([0, key_heads])
    file.gguf.add_shortconv_l_cache(memory)
    size = file.byte_tokens()
    file.weights("token_embd.weight", size, WIDTH, scale=WIDTH**0.5)
    file.constant("token_embd_norm.weight", WIDTH)
    file.weights("output.weight", size, WIDTH, scale=SHARP)
    file.weights("blk.0.shortconv.conv.weight", WIDTH, memory)
    file.weights("blk.0.shortconv.in_proj.weight", 3 * WIDTH, WIDTH)
    file.weights("blk.0.shortconv.out_proj.weight", WIDTH, WIDTH)
    file.heads("blk.1", key_heads)
    file.constant("blk.1.attn_q_norm.weight", WIDTH // HEADS)
    file.constant("blk.1.attn_k_norm.weight", WIDTH // HEADS)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", WIDTH)
        file.constant(f"{block}.ffn_norm.weight", WIDTH)
        file.feed(block)
    file.close()
    return path


BERT_WORDS = ("what", "is", "the", "capital", "of", "france", "sea", "a", "##s", "word", "?")


def bert(path: Path, *, seed: int = 0, scores: bool = False) -> Path:
    """An encoder of the bert architecture, pooling by mean; with ``scores``, a reranker."""
    file = Writer(path, "bert", seed)
    file.sizes()
    file.gguf.add_layer_norm_eps(1e-12)
    file.gguf.add_causal_attention(False)
    rank = gguf.PoolingType.RANK if scores else gguf.PoolingType.MEAN
    file.gguf.add_pooling_type(rank)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [w[2:] if w.startswith("##") else f"\u2581{w}" for w in BERT_WORDS]
    file.gguf.add_tokenizer_model("bert")
    file.gguf.add_token_type_count(2)
    file.gguf.add_token_list(tokens + pieces)
    file.gguf.add_token_types([3] * len(tokens) + [1] * len(pieces))
    for name, token in (("pad", 0), ("unk", 1), ("bos", 2), ("sep", 3), ("mask", 4), ("eos", 3)):
        getattr(file.gguf, f"add_{name}_token_id")(token)
    size = len(tokens + pieces)
    file.weights("token_embd.weight", size, WIDTH, scale=WIDTH**0.5)
    file.weights("position_embd.weight", CONTEXT, WIDTH)
    file.weights("token_types.weight", 2, WIDTH)
    file.norm("token_embd_norm", WIDTH)
    norms = ("attn_output_norm", "layer_output_norm")
    file.encoder("blk", output="attn_output", norms=norms)
    if scores:
        file.matrix("cls", WIDTH)
        file.matrix("cls.output", 1)
    file.close()
    return path


PATCHES = 4
"""Patches, and so tokens, along each side of a picture."""


def projector(path: Path, *, seed: int = 0) -> Path:
    """A projector of LLaVA's kind for ``llama``: a picture becomes 16 tokens."""
    file, patch, layers = Writer(path, "clip", seed), 8, LAYERS + 1
    file.sees("mlp", size=PATCHES * patch, patch=patch, layers=layers)
    file.gguf.add_vision_use_gelu(True)
    file.weights("v.patch_embd.weight", WIDTH, 3, patch, patch)
    file.weights("v.class_embd", WIDTH)
    file.weights("v.position_embd.weight", PATCHES**2 + 1, WIDTH)
    file.norm("v.pre_ln", WIDTH)
    file.norm("v.post_ln", WIDTH)
    file.encoder("v.blk", layers=layers)
    for number in (0, 2):
        file.matrix(f"mm.{number}", WIDTH, scale=WIDTH**0.5)
    file.close()
    return path
