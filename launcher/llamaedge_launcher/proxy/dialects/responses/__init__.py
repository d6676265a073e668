"""OpenAI's Responses API: https://platform.openai.com/docs/api-reference/responses."""

from .endpoints import routes

__all__ = ["routes"]
