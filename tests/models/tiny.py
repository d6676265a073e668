"""Models of a few hundred kilobytes with random weights, which llama.cpp really loads.

Each function writes one GGUF file; the same seed gives the same file.
"""

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
_LOUD = 3.0  # what layers add outweighs the token itself, which tied weights would repeat

_WORDS = (*"abcdefghijklmnopqrstuvwxyz", "\u2581", "\u2581the", "\u2581and", "\u2581sea")


class _Writer:
    def __init__(self, path: Path, architecture: str, seed: int, *, split: int = 0) -> None:
        self.gguf = gguf.GGUFWriter(str(path), architecture, split_max_tensors=split)
        self._random = np.random.default_rng(seed)

    def weights(self, name: str, *shape: int, scale: Scale = 1.0) -> None:
        values = self._random.standard_normal(shape) * scale / np.sqrt(shape[-1])
        self.gguf.add_tensor(name, values.astype(np.float32))

    def constant(self, name: str, *shape: int, value: float = 1.0) -> None:
        values: npt.NDArray[np.float32] = np.full(shape, value, dtype=np.float32)
        self.gguf.add_tensor(name, values)

    def sizes(self, *, layers: int = LAYERS) -> None:
        self.gguf.add_context_length(CONTEXT)
        self.gguf.add_embedding_length(WIDTH)
        self.gguf.add_block_count(layers)
        self.gguf.add_feed_forward_length(FEED)
        self.gguf.add_head_count(HEADS)
        self.gguf.add_layer_norm_rms_eps(1e-5)

    def byte_tokens(self, size: int = 0) -> int:
        """A SentencePiece vocabulary: specials, every byte, letters and words; its size.

        It is ``size`` tokens at least, made up of further words.
        """
        special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
        tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + list(_WORDS)
        words = [*_WORDS, *(f"\u2581w{each}" for each in range(size - len(tokens)))]
        tokens += words[len(_WORDS) :]
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

    def close(self) -> None:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()


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
    file = _Writer(path, "llama", seed, split=split)
    if template:
        file.gguf.add_chat_template(template)
    for name, token in zip(("pre", "suf", "mid"), INFILL, strict=True):
        if infill:
            file.gguf.add_uint32(f"tokenizer.ggml.fim_{name}_token_id", token)
    file.sizes()
    file.gguf.add_head_count_kv(HEADS // 2)
    file.gguf.add_rope_dimension_count(WIDTH // HEADS)
    size = file.byte_tokens()
    _decoder(file, size, HEADS // 2, brief=brief)
    file.close()
    return path


def lora(path: Path, *, seed: int = 1, architecture: str = "llama", rank: int = 4) -> Path:
    """An adapter of every layer's queries and outputs, for a decoder of ``architecture``."""
    file = _Writer(path, architecture, seed)
    file.gguf.add_string("general.type", "adapter")
    file.gguf.add_string("adapter.type", "lora")
    file.gguf.add_float32("adapter.lora.alpha", float(rank))
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_output"):
            file.weights(f"blk.{layer}.{name}.weight.lora_a", rank, WIDTH, scale=4.0)
            file.weights(f"blk.{layer}.{name}.weight.lora_b", WIDTH, rank, scale=4.0)
    file.close()
    return path


def _decoder(
    file: _Writer,
    vocabulary: int,
    key_heads: int,
    *,
    tied: bool = False,
    scale: float = WIDTH**0.5,
    brief: bool = False,
) -> None:
    head = WIDTH // HEADS
    file.weights("token_embd.weight", vocabulary, WIDTH, scale=scale)
    file.constant("output_norm.weight", WIDTH)
    if not tied:
        sharp = np.full((vocabulary, 1), SHARP)
        sharp[END] *= BRIEF if brief else 1
        file.weights("output.weight", vocabulary, WIDTH, scale=sharp)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", WIDTH)
        file.weights(f"{block}.attn_q.weight", WIDTH, WIDTH)
        file.weights(f"{block}.attn_k.weight", key_heads * head, WIDTH)
        file.weights(f"{block}.attn_v.weight", key_heads * head, WIDTH)
        file.weights(f"{block}.attn_output.weight", WIDTH, WIDTH)
        file.constant(f"{block}.ffn_norm.weight", WIDTH)
        file.weights(f"{block}.ffn_gate.weight", FEED, WIDTH)
        file.weights(f"{block}.ffn_up.weight", FEED, WIDTH)
        file.weights(f"{block}.ffn_down.weight", WIDTH, FEED)


def gemma(path: Path, *, seed: int = 0) -> Path:
    """A decoder of the gemma2 architecture: every other layer sees a window of 32 tokens."""
    file = _Writer(path, "gemma2", seed)
    file.sizes()
    file.gguf.add_head_count_kv(HEADS)
    file.gguf.add_key_length(WIDTH // HEADS)
    file.gguf.add_value_length(WIDTH // HEADS)
    file.gguf.add_sliding_window(32)
    size = file.byte_tokens()
    _decoder(file, size, HEADS, tied=True, scale=1.0)
    for layer in range(LAYERS):
        file.constant(f"blk.{layer}.post_attention_norm.weight", WIDTH, value=_LOUD)
        file.constant(f"blk.{layer}.post_ffw_norm.weight", WIDTH, value=_LOUD)
    file.close()
    return path


def mamba(path: Path, *, seed: int = 0) -> Path:
    """A recurrent model of the mamba architecture: its memory cannot be cut."""
    inner, state, convolution, rank = 2 * WIDTH, 8, 4, 4
    file = _Writer(path, "mamba", seed)
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
    memory, head, key_heads = 3, WIDTH // HEADS, HEADS // 2
    file = _Writer(path, "lfm2", seed)
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
    file.weights("blk.1.attn_q.weight", WIDTH, WIDTH)
    file.weights("blk.1.attn_k.weight", key_heads * head, WIDTH)
    file.weights("blk.1.attn_v.weight", key_heads * head, WIDTH)
    file.weights("blk.1.attn_output.weight", WIDTH, WIDTH)
    file.constant("blk.1.attn_q_norm.weight", head)
    file.constant("blk.1.attn_k_norm.weight", head)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", WIDTH)
        file.constant(f"{block}.ffn_norm.weight", WIDTH)
        file.weights(f"{block}.ffn_gate.weight", FEED, WIDTH)
        file.weights(f"{block}.ffn_up.weight", FEED, WIDTH)
        file.weights(f"{block}.ffn_down.weight", WIDTH, FEED)
    file.close()
    return path


BERT_WORDS = ("what", "is", "the", "capital", "of", "france", "sea", "a", "##s", "word", "?")


def bert(path: Path, *, seed: int = 0, scores: bool = False) -> Path:
    """An encoder of the bert architecture, pooling by mean; with ``scores``, a reranker."""
    file = _Writer(path, "bert", seed)
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
    file.constant("token_embd_norm.weight", WIDTH)
    file.constant("token_embd_norm.bias", WIDTH, value=0.0)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            file.weights(f"{block}.{part}.weight", WIDTH, WIDTH)
            file.constant(f"{block}.{part}.bias", WIDTH, value=0.0)
        file.weights(f"{block}.ffn_up.weight", FEED, WIDTH)
        file.constant(f"{block}.ffn_up.bias", FEED, value=0.0)
        file.weights(f"{block}.ffn_down.weight", WIDTH, FEED)
        file.constant(f"{block}.ffn_down.bias", WIDTH, value=0.0)
        for norm in ("attn_output_norm", "layer_output_norm"):
            file.constant(f"{block}.{norm}.weight", WIDTH)
            file.constant(f"{block}.{norm}.bias", WIDTH, value=0.0)
    if scores:
        file.weights("cls.weight", WIDTH, WIDTH)
        file.constant("cls.bias", WIDTH, value=0.0)
        file.weights("cls.output.weight", 1, WIDTH)
        file.constant("cls.output.bias", 1, value=0.0)
    file.close()
    return path


PATCHES = 4
"""Patches, and so tokens, along each side of a picture."""


def projector(path: Path, *, seed: int = 0) -> Path:
    """A projector of LLaVA's kind for ``llama``: a picture becomes 16 tokens."""
    file = _Writer(path, "clip", seed)
    patch = 8
    file.gguf.add_clip_has_vision_encoder(True)
    file.gguf.add_clip_projector_type("mlp")
    file.gguf.add_vision_image_size(PATCHES * patch)
    file.gguf.add_vision_patch_size(patch)
    file.gguf.add_vision_embedding_length(WIDTH)
    file.gguf.add_vision_feed_forward_length(FEED)
    file.gguf.add_vision_projection_dim(WIDTH)
    file.gguf.add_vision_head_count(HEADS)
    file.gguf.add_vision_block_count(LAYERS + 1)
    file.gguf.add_vision_attention_layernorm_eps(1e-5)
    file.gguf.add_vision_image_mean([0.5, 0.5, 0.5])
    file.gguf.add_vision_image_std([0.5, 0.5, 0.5])
    file.gguf.add_vision_use_gelu(True)
    file.weights("v.patch_embd.weight", WIDTH, 3, patch, patch)
    file.weights("v.class_embd", WIDTH)
    file.weights("v.position_embd.weight", PATCHES**2 + 1, WIDTH)
    for norm in ("v.pre_ln", "v.post_ln"):
        file.constant(f"{norm}.weight", WIDTH)
        file.constant(f"{norm}.bias", WIDTH, value=0.0)
    for layer in range(LAYERS + 1):
        block = f"v.blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            file.weights(f"{block}.{part}.weight", WIDTH, WIDTH)
            file.constant(f"{block}.{part}.bias", WIDTH, value=0.0)
        file.weights(f"{block}.ffn_up.weight", FEED, WIDTH)
        file.constant(f"{block}.ffn_up.bias", FEED, value=0.0)
        file.weights(f"{block}.ffn_down.weight", WIDTH, FEED)
        file.constant(f"{block}.ffn_down.bias", WIDTH, value=0.0)
        for norm in ("ln1", "ln2"):
            file.constant(f"{block}.{norm}.weight", WIDTH)
            file.constant(f"{block}.{norm}.bias", WIDTH, value=0.0)
    for number in (0, 2):
        file.weights(f"mm.{number}.weight", WIDTH, WIDTH, scale=WIDTH**0.5)
        file.constant(f"mm.{number}.bias", WIDTH, value=0.0)
    file.close()
    return path
