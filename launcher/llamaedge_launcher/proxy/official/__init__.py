"""What LlamaEdge's own servers do otherwise than OpenAI's API says, made right from outside."""

from .official import Official

__all__ = ["Official"]
