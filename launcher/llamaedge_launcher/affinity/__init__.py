"""Sends a request to the server that has read its beginning, as far as the load allows."""

from .placement import Placement
from .prefix import Prefix, prefix_of

__all__ = ["Placement", "Prefix", "prefix_of"]
