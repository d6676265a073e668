"""What one guest may hold at most. No guest that we know comes near."""

MAX_GRAPHS = 64
"""Graphs, those included that are unloaded and still have contexts."""
MAX_CONTEXTS = 4096
"""Execution contexts."""
MAX_MODEL_BYTES = 8 << 30
"""Bytes of the models that it gave by ``load``, together: they lie in files of the host."""
MAX_METADATA = 1 << 27
"""Bytes of a configuration or of metadata, a conversation with its pictures included."""
MAX_REASON = 1000
"""Characters of an error that it is told."""
