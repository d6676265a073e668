"""What is said of an import that nobody provides."""

from .errors import LinkError

_PLUGINS = {
    "wasi_ephemeral_crypto_": "wasi_crypto",
    "rustls_client": "wasmedge_rustls",
    "wasm_bpf": "wasm_bpf",
}
"""WasmEdge's plugins by how the modules begin that they provide; others are named as theirs."""


def absent(guest: str, module: str, name: str, params: str, results: str) -> LinkError:
    """The error of ``guest``, whose import of a function nobody provides."""
    where = f"{module}.{name} ({params}) -> ({results})"
    plugin = _plugin(module)
    if plugin is None:
        return LinkError(f"{guest} imports {where}, which this host does not have")
    return LinkError(
        f"{guest} imports {where} of WasmEdge's plugin {plugin}; of its plugins this host has"
        " wasi_nn, with GGML, and wasi_logging"
    )


def _plugin(module: str) -> str | None:
    if module.startswith("wasmedge_"):
        return "_".join(module.split("_")[:2])
    return next((name for start, name in _PLUGINS.items() if module.startswith(start)), None)
