"""Models that see, with random weights: what differs from ``tiny.projector``'s LLaVA.

qwen2vl counts a picture's positions otherwise than its cells; gemma3's pictures see all of
themselves at once.
"""

from pathlib import Path

from .tiny import FEED, HEADS, LAYERS, WIDTH, _decoder, _Writer

PATCH = 8
SIDE = 4
"""gemma3's tokens along each side of a picture."""


def qwen(path: Path, *, seed: int = 0, brief: bool = False) -> Path:
    """A decoder of the qwen2vl architecture, whose positions have three parts."""
    file = _Writer(path, "qwen2vl", seed)
    file.sizes()
    file.gguf.add_head_count_kv(HEADS // 2)
    file.gguf.add_rope_dimension_sections([2, 3, 3, 0])
    _decoder(file, file.byte_tokens(), HEADS // 2, brief=brief)
    file.close()
    return path


def qwen_projector(path: Path, *, seed: int = 0) -> Path:
    """A projector for ``qwen``: a token for each 16 by 16 pixels, at least 8."""
    file = _projector(path, "qwen2vl_merger", 16 * PATCH, seed)
    file.weights("v.patch_embd.weight.1", WIDTH, 3, PATCH, PATCH)
    for number, width in ((0, 4 * WIDTH), (2, WIDTH)):
        file.weights(f"mm.{number}.weight", width, 4 * WIDTH, scale=WIDTH**0.5)
        file.constant(f"mm.{number}.bias", width, value=0.0)
    file.close()
    return path


def gemma_projector(path: Path, *, seed: int = 0) -> Path:
    """A projector of gemma3's kind for ``tiny.llama``: a picture becomes 16 tokens."""
    file = _projector(path, "gemma3", 2 * SIDE * PATCH, seed)
    file.gguf.add_vision_projector_scale_factor(2)
    file.weights("v.position_embd.weight", 4 * SIDE**2, WIDTH)
    file.weights("mm.input_projection.weight", WIDTH, WIDTH, scale=WIDTH**0.5)
    file.constant("mm.soft_emb_norm.weight", WIDTH)
    file.close()
    return path


def gemma4(path: Path, *, seed: int = 0, brief: bool = False) -> Path:
    """A decoder of the gemma4 architecture: its first layer sees a window of 32 tokens."""
    head = WIDTH // HEADS
    file = _Writer(path, "gemma4", seed)
    file.sizes()
    keys = file.gguf
    keys.add_head_count_kv(HEADS // 2)
    keys.add_key_length(head)
    keys.add_value_length(head)
    keys.add_key_length_swa(head)
    keys.add_value_length_swa(head)
    keys.add_rope_dimension_count(head)
    keys.add_rope_dimension_count_swa(head)
    keys.add_sliding_window(32)
    keys.add_sliding_window_pattern([True, False])
    keys.add_embedding_length_per_layer_input(0)
    _decoder(file, file.byte_tokens(), HEADS // 2, brief=brief)
    file.constant("rope_freqs.weight", head // 2)
    for layer in range(LAYERS):
        for part in ("attn_q_norm", "attn_k_norm"):
            file.constant(f"blk.{layer}.{part}.weight", head)
        for part in ("post_attention_norm", "post_ffw_norm"):
            file.constant(f"blk.{layer}.{part}.weight", WIDTH)
    file.close()
    return path


def gemma4_projector(path: Path, *, seed: int = 0, positions: int = 1120) -> Path:
    """A projector for ``gemma4``: a token for each 8 by 8 pixels, 70 to 1120 of them.

    It has ``positions`` for columns and as many for rows.
    """
    file = _projector(path, "gemma4v", 16 * PATCH, seed)
    file.gguf.add_vision_projector_scale_factor(1)
    file.weights("v.position_embd.weight", 2, positions, WIDTH)
    file.weights("mm.input_projection.weight", WIDTH, WIDTH, scale=WIDTH**0.5)
    file.close()
    return path


def _projector(path: Path, kind: str, size: int, seed: int) -> _Writer:
    """What the projectors have in common; pictures are ``size`` pixels square."""
    file = _Writer(path, "clip", seed)
    keys = file.gguf
    keys.add_clip_has_vision_encoder(True)
    keys.add_clip_projector_type(kind)
    keys.add_vision_image_size(size)
    keys.add_vision_patch_size(PATCH)
    keys.add_vision_embedding_length(WIDTH)
    keys.add_vision_feed_forward_length(FEED)
    keys.add_vision_projection_dim(WIDTH)
    keys.add_vision_head_count(HEADS)
    keys.add_vision_block_count(LAYERS)
    keys.add_vision_attention_layernorm_eps(1e-5)
    keys.add_vision_image_mean([0.5, 0.5, 0.5])
    keys.add_vision_image_std([0.5, 0.5, 0.5])
    file.weights("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    for layer in range(LAYERS):
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
    file.constant("v.post_ln.weight", WIDTH)
    file.constant("v.post_ln.bias", WIDTH, value=0.0)
    return file
