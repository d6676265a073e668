"""OpenAI's Responses API: https://platform.openai.com/docs/api-reference/responses."""

from .endpoints import DESCRIBED, Responses

__all__ = ["DESCRIBED", "Responses"]
