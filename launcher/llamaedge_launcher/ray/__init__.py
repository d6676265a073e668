"""Replicas on a cluster: an application of Ray Serve, ``llamaedge_launcher.ray:application``.

Raises ImportError where Ray Serve is not installed.
"""

try:
    import ray.serve as _serve
except ImportError as error:
    _message = "Ray Serve is not installed: pip install 'llamaedge-host[ray]' brings it"
    raise ImportError(_message) from error

from .application import application
from .arguments import Arguments, Server

__all__ = ["Arguments", "Server", "application"]
del _serve
