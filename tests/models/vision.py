"""Models that see, with random weights: what differs from ``tiny.projector``'s LLaVA.

qwen2vl counts a picture's positions otherwise than its cells; gemma3's pictures see all of
themselves at once.
"""

from pathlib import Path

from .writer import HEADS, LAYERS, WIDTH, Writer

PATCH = 8
SIDE = 4
"""gemma3's tokens along each side of a picture."""


def qwen(path: Path, *, seed: int = 0, brief: bool = False) -> Path:
    """A decoder of the qwen2vl architecture, whose positions have three parts."""
    file = Writer(path, "qwen2vl", seed)
    file.sizes()
    file.gguf.add_head_count_kv(HEADS // 2)
    file.gguf.add_rope_dimension_sections([2, 3, 3, 0])
    file.decoder(file.byte_tokens(), HEADS // 2, brief=brief)
    file.close()
    return path


def qwen_projector(path: Path, *, seed: int = 0) -> Path:
    """A projector for ``qwen``: a token for each 16 by 16 pixels, at least 8."""
    file = _projector(path, "qwen2vl_merger", 16 * PATCH, seed)
    file.weights("v.patch_embd.weight.1", WIDTH, 3, PATCH, PATCH)
    for number, width in ((0, 4 * WIDTH), (2, WIDTH)):
        file.matrix(f"mm.{number}", width, 4 * WIDTH, scale=WIDTH**0.5)
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
    file = Writer(path, "gemma4", seed)
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
    file.decoder(file.byte_tokens(), HEADS // 2, brief=brief)
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


def _projector(path: Path, kind: str, size: int, seed: int) -> Writer:
    """What the projectors have in common; pictures are ``size`` pixels square."""
    file = Writer(path, "clip", seed)
    file.sees(kind, size=size, patch=PATCH)
    file.weights("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    file.encoder("v.blk")
    file.norm("v.post_ln", WIDTH)
    return file
