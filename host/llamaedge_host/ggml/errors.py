"""The error of this backend."""

from ..nn.backend import BackendError


class GgmlError(BackendError):
    """A BackendError of this backend."""

    backend = "GGML"
