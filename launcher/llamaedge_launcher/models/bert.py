"""A BERT model of sentence-transformers, written as the GGUF file that llama.cpp reads.

Source: llama.cpp's convert_hf_to_gguf.py, for the architecture bert.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.utility import SafetensorsLocal

from llamaedge_host.whole_file import PREFIX

_ARCHITECTURE = gguf.MODEL_ARCH.BERT
_UNUSED = ("pooler.", "embeddings.position_ids")  # of heads, or counted by llama.cpp
_KEPT_WHOLE = ("position_embd.weight", "token_types.weight")  # which llama.cpp adds as they are
_SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "bos": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_WORD, _PIECE = "\u2581", "##"


def convert(
    weights: Path, words: Sequence[str], config: dict[str, Any], path: Path, *, name: str
) -> None:
    """Write ``path``, whole or not at all: float16 matrices, mean pooling, a WordPiece vocabulary.

    ``weights`` are the safetensors, ``words`` the vocabulary's lines, ``config`` is the model's
    config.json. Raises OSError.
    """
    logging.getLogger("gguf").setLevel(logging.WARNING)
    written = path.with_name(f"{PREFIX}{path.name}")
    writer = gguf.GGUFWriter(written, gguf.MODEL_ARCH_NAMES[_ARCHITECTURE])
    writer.add_name(name)
    _add_sizes(writer, config)
    _add_words(writer, words)
    _add_tensors(writer, weights, config["num_hidden_layers"])
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def _add_sizes(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _add_words(writer: Any, words: Sequence[str]) -> None:
    """A word begins with a mark, and what continues one has none."""
    special = {word for word in words if word.startswith("[") and word.endswith("]")}
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_type_count(2)
    writer.add_token_list([word if word in special else _marked(word) for word in words])
    writer.add_token_types([control if word in special else normal for word in words])
    for role, word in _SPECIAL.items():
        getattr(writer, f"add_{role}_token_id")(words.index(word))
    writer.add_eos_token_id(words.index(_SPECIAL["sep"]))


def _marked(word: str) -> str:
    return word.removeprefix(_PIECE) if word.startswith(_PIECE) else _WORD + word


def _add_tensors(writer: Any, weights: Path, layers: int) -> None:
    names = gguf.get_tensor_name_map(_ARCHITECTURE, layers)
    for found, tensor in SafetensorsLocal(weights).tensors.items():
        if found.startswith(_UNUSED):
            continue
        name = names.get_name(found, try_suffixes=(".weight", ".bias"))
        values = tensor.mmap_bytes().view(np.float32).reshape(tensor.shape)
        whole = values.ndim == 1 or name in _KEPT_WHOLE
        writer.add_tensor(name, values if whole else values.astype(np.float16))
