"""What can be told of a model that is served."""

from dataclasses import dataclass

from .chat.sources import DEFAULT, sources
from .engine.embedding import Embedder
from .engine.engine import Engine
from .llama.library import BUILD_NUMBER, COMMIT

_TOOLS = "tool_use"


@dataclass(frozen=True)
class Properties:
    """``cells`` tokens fit into each of ``slots`` sequences, which ``build`` of llama.cpp computes.

    The templates and the names of tokens are "" where the model has none.
    """

    cells: int
    slots: int
    build: str
    template: str
    tool_template: str
    bos_token: str
    eos_token: str

    @classmethod
    def of(cls, engine: Engine | Embedder) -> "Properties":
        """What there is to tell of ``engine`` and its model."""
        model = engine.model
        templates = sources(model.header.metadata)
        named = model.vocabulary.names
        return cls(
            cells=engine.cells,
            slots=engine.parallel if isinstance(engine, Engine) else 1,
            build=f"b{BUILD_NUMBER}-{COMMIT}",
            template=templates.get(DEFAULT, ""),
            tool_template=templates.get(_TOOLS, ""),
            bos_token=named.get("bos_token", ""),
            eos_token=named.get("eos_token", ""),
        )
