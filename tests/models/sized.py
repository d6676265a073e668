"""Models of the llama architecture of any size, for what depends on a size: times and memory.

``llama`` has random weights. ``deepened`` says what another model says and takes longer for it.
"""

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from .writer import Writer

Kind = gguf.GGMLQuantizationType
_HEAD = 64
_SCALE = 2**-10  # of quantised weights, which are up to 127 times as large


def llama(
    path: Path,
    *,
    width: int,
    layers: int,
    feed: int,
    vocabulary: int = 0,
    context: int = 2048,
    kind: Kind = Kind.F32,
) -> Path:
    """A decoder whose matrices are of ``kind``: F32, F16, Q8_0 or Q4_0.

    ``vocabulary`` is its number of tokens, 0 for those of the tiny models, which it always has.
    """
    file = Writer(path, "llama", 0)
    random = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        file.gguf.add_tensor(
            f"{name}.weight", _weights(random, rows, columns, kind), raw_dtype=kind
        )

    heads = width // _HEAD
    for key, value in (
        ("context_length", context),
        ("embedding_length", width),
        ("block_count", layers),
        ("feed_forward_length", feed),
        ("head_count", heads),
        ("head_count_kv", heads),
        ("rope_dimension_count", _HEAD),
    ):
        getattr(file.gguf, f"add_{key}")(value)
    file.gguf.add_layer_norm_rms_eps(1e-5)
    size = file.byte_tokens(vocabulary)
    matrix("token_embd", size, width)
    file.constant("output_norm.weight", width)
    matrix("output", size, width)
    for layer in range(layers):
        block = f"blk.{layer}"
        file.constant(f"{block}.attn_norm.weight", width)
        file.constant(f"{block}.ffn_norm.weight", width)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"{block}.{name}", width, width)
        matrix(f"{block}.ffn_gate", feed, width)
        matrix(f"{block}.ffn_up", feed, width)
        matrix(f"{block}.ffn_down", width, feed)
    file.close()
    return path


def _weights(
    random: np.random.Generator, rows: int, columns: int, kind: Kind
) -> npt.NDArray[np.generic]:
    if kind in (Kind.F32, Kind.F16):
        values = random.standard_normal((rows, columns), dtype=np.float32) / np.sqrt(columns)
        return values.astype(np.float16 if kind is Kind.F16 else np.float32)
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (rows, columns // weights, size), dtype=np.uint8)
    blocks[:, :, :2] = np.frombuffer(np.float16(_SCALE).tobytes(), np.uint8)
    return blocks.reshape(rows, -1)


def deepened(source: Path, path: Path, layers: int) -> Path:
    """The model at ``source`` with ``layers`` layers more, which compute and add nothing."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(str(path), architecture)
    count = f"{architecture}.block_count"
    first = reader.fields[count].contents()
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = first + layers if name == count else field.contents()
        inner = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        if tensor.name.startswith("blk.0."):
            silent = tensor.name.endswith(("attn_output.weight", "ffn_down.weight"))
            data = np.zeros_like(tensor.data) if silent else tensor.data
            for layer in range(first, first + layers):
                name = f"blk.{layer}.{tensor.name.removeprefix('blk.0.')}"
                writer.add_tensor(name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
