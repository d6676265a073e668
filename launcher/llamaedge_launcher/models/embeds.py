"""Whether a model is one for embeddings."""

from llamaedge_host.ggml.llama.gguf import Gguf


def embeds(header: Gguf | None) -> bool:
    """Whether a model is for embeddings: it sees what follows, or says how to pool.

    Some of these have the chat template of the model that they were made of.
    """
    if header is None:
        return False
    architecture = header.architecture
    causal = header.metadata.get(f"{architecture}.attention.causal")
    return causal is False or bool(header.metadata.get(f"{architecture}.pooling_type"))
