"""A speaking model and a vocoder of random weights, which llama.cpp really loads."""

from pathlib import Path

import numpy as np

from .writer import Writer

CODES = 64
WIDTH = 64
INNER = 32
FEATURES = 16
SPECTRUM = 1282
"""Log magnitudes and phases of a frame: 641 each."""

_CONTROL = (
    *("<|im_start|>", "<|im_end|>", "<|text_start|>", "<|text_end|>", "<|text_sep|>"),
    *("<|audio_start|>", "<|audio_end|>", "<|code_start|>", "<|code_end|>", "<|t_0.10|>"),
)


def speaker(path: Path, *, seed: int = 0, speaks: bool = True, ends: bool = False) -> Path:
    """A decoder of the llama architecture with OuteTTS's tokens; nearly all it says is codes.

    Without ``speaks``, none of it is. One that ``ends`` does so after some codes.
    """
    file = Writer(path, "llama", seed)
    file.sizes()
    file.gguf.add_head_count_kv(2)
    file.gguf.add_rope_dimension_count(16)
    codes = [f"<|{code}|>" for code in range(CODES)]
    named = ["<unk>", "<s>", "</s>", *_CONTROL, *codes]
    tokens = [*named, *(f"<0x{byte:02X}>" for byte in range(256))]
    file.gguf.add_tokenizer_model("llama")
    file.gguf.add_token_list(tokens)
    file.gguf.add_token_scores([0.0] * len(tokens))
    file.gguf.add_token_types([2, 3, 3, *[3] * (len(named) - 3), *[6] * 256])
    file.gguf.add_bos_token_id(1)
    file.gguf.add_eos_token_id(2)
    file.gguf.add_unk_token_id(0)
    file.decoder(len(tokens), 2, tied=True)
    random = np.random.default_rng(seed)
    output = random.standard_normal((len(tokens), WIDTH)) * 0.01
    first = named.index("<|0|>") if speaks else len(named)
    output[first : first + CODES] *= 4.0 if ends else 100.0
    if ends:
        output[named.index("</s>")] *= 4.0
    file.gguf.add_tensor("output.weight", output.astype(np.float32))
    file.close()
    return path


def vocoder(
    path: Path, *, seed: int = 0, spectrum: int = SPECTRUM, posnet: int = 6, convnext: int = INNER
) -> Path:
    """A WavTokenizer decoder: codes to frames of ``spectrum`` values."""
    file = Writer(path, "wavtokenizer-dec", seed)
    keys = file.gguf
    keys.add_context_length(8192)
    keys.add_vocab_size(CODES)
    keys.add_features_length(FEATURES)
    keys.add_embedding_length(spectrum)
    keys.add_feed_forward_length(2 * INNER)
    keys.add_block_count(6)
    keys.add_head_count(1)
    keys.add_layer_norm_eps(1e-6)
    keys.add_group_norm_eps(1e-6)
    keys.add_group_norm_groups(4)
    keys.add_posnet_embedding_length(INNER)
    keys.add_posnet_block_count(posnet)
    keys.add_convnext_embedding_length(convnext)
    keys.add_convnext_block_count(2)
    keys.add_causal_attention(False)
    keys.add_tokenizer_model("none")
    file.weights("token_embd.weight", CODES, FEATURES, scale=FEATURES**0.5)
    file.kernel("conv1d", INNER, FEATURES, 7)
    for block in (0, 1, 3, 4):
        for number in (1, 2):
            file.norm(f"posnet.{block}.norm{number}", INNER, 1)
            file.kernel(f"posnet.{block}.conv{number}", INNER, INNER, 3)
    file.norm("posnet.2.attn_norm", INNER, 1)
    for part in ("q", "k", "v", "output"):
        file.kernel(f"posnet.2.attn_{part}", INNER, INNER, 1)
    file.norm("posnet.5.attn_norm", INNER, 1)
    file.norm("token_embd_norm", INNER)
    for block in range(2):
        name = f"convnext.{block}"
        file.kernel(f"{name}.dw", INNER, 1, 7)
        file.norm(f"{name}.norm", INNER)
        file.matrix(f"{name}.pw1", 2 * INNER, INNER)
        file.matrix(f"{name}.pw2", INNER, 2 * INNER)
        file.constant(f"{name}.gamma.weight", INNER)
    file.norm("output_norm", INNER)
    file.matrix("output", spectrum, INNER)
    file.close()
    return path
