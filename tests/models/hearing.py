"""A model that hears, with random weights: a projector of Ultravox's kind for ``tiny.llama``."""

from pathlib import Path

from .writer import FEED, HEADS, LAYERS, WIDTH, Writer

TOKENS = 50
"""What half a minute of sound becomes."""
_MEL = 80
_POSITIONS = 1500
_STACK = _POSITIONS // TOKENS


def ears(path: Path, *, seed: int = 0, positions: int = _POSITIONS) -> Path:
    """The projector; one with other ``positions`` than half a minute has cannot be computed."""
    file = Writer(path, "clip", seed)
    keys = file.gguf
    keys.add_bool("clip.has_audio_encoder", True)
    keys.add_clip_projector_type("ultravox")
    for name, value in (
        *(("embedding_length", WIDTH), ("feed_forward_length", FEED), ("projection_dim", WIDTH)),
        *(("attention.head_count", HEADS), ("block_count", LAYERS), ("num_mel_bins", _MEL)),
        ("projector.stack_factor", _STACK),
    ):
        keys.add_uint32(f"clip.audio.{name}", value)
    keys.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-5)
    file.kernel("a.conv1d.1", WIDTH, _MEL, 3)
    file.kernel("a.conv1d.2", WIDTH, WIDTH, 3)
    file.weights("a.position_embd.weight", positions, WIDTH)
    file.encoder("a.blk", without_bias=("attn_k",))
    file.norm("a.post_ln", WIDTH)
    file.constant("mm.a.norm_pre.weight", WIDTH * _STACK)
    file.weights("mm.a.mlp.1.weight", 2 * FEED, WIDTH * _STACK)
    file.constant("mm.a.norm_mid.weight", FEED)
    file.weights("mm.a.mlp.2.weight", WIDTH, FEED, scale=WIDTH**0.5)
    file.close()
    return path
