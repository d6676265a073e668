"""Anthropic's Messages API: https://docs.anthropic.com/en/api/messages."""

from .answer import failure, message
from .endpoints import CountTokens, Messages

__all__ = ["CountTokens", "Messages", "failure", "message"]
