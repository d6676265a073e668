"""The options that every subcommand of `wasmedge` takes: the log level and switches, as tables."""

import logging
from typing import Any

import click

from llamaedge_host.modules import EngineSettings

from .. import log

_log = logging.getLogger(__name__)
_LEVELS = {
    "off": "critical", "trace": "debug", "debug": "debug", "info": "info", "warning": "warning",
    "error": "error", "fatal": "critical",
}  # fmt: skip

PROPOSALS: dict[str, tuple[str, ...]] = {
    "--disable-multi-value": ("wasm_multi_value",),
    "--disable-bulk-memory": ("wasm_bulk_memory",),
    "--disable-reference-types": (
        "wasm_reference_types", "wasm_function_references", "wasm_gc", "wasm_exceptions",
    ),
    "--disable-simd": ("wasm_simd", "wasm_relaxed_simd"),
    "--disable-tail-call": ("wasm_tail_call",),
    "--disable-function-reference": ("wasm_function_references", "wasm_gc"),
    "--disable-gc": ("wasm_gc",),
    "--disable-multi-memory": ("wasm_multi_memory",),
    "--disable-relaxed-simd": ("wasm_relaxed_simd",),
    "--disable-exception-handling": ("wasm_exceptions",),
    "--disable-memory64": ("wasm_memory64",),
}  # fmt: skip
"""Options that turn proposals off, by their names in wasmtime's configuration."""

ENABLED: dict[str, tuple[str, ...]] = {
    "--enable-threads": ("wasm_threads", "shared_memory"),
}

_AFTER_WASM_2 = (
    "wasm_tail_call", "wasm_relaxed_simd", "wasm_multi_memory", "wasm_memory64", "wasm_exceptions",
    "wasm_function_references", "wasm_gc",
)  # fmt: skip

STANDARDS: dict[str, tuple[str, ...]] = {
    "--wasm-1": (
        *_AFTER_WASM_2, "wasm_simd", "wasm_bulk_memory", "wasm_multi_value", "wasm_reference_types",
    ),
    "--wasm-2": _AFTER_WASM_2,
    "--wasm-3": (),
}  # fmt: skip
"""What a version of the WebAssembly standard does not have yet."""

WITHOUT_MEANING: dict[str, str] = {
    "--enable-all": "every proposal that wasmtime has finished is on",
    "--enable-component": "components are not run",
    "--enable-jit": "guests are always compiled",
    "--force-interpreter": "guests are always compiled",
    "--enable-coredump": "no core dumps are written",
    "--coredump-for-wasmgdb": "no core dumps are written",
    "--disable-import-export-mut-globals": "wasmtime cannot turn it off",
    "--disable-non-trap-float-to-int": "wasmtime cannot turn it off",
    "--disable-sign-extension-operators": "wasmtime cannot turn it off",
    "--disable-extended-const": "wasmtime cannot turn it off",
    "--dump": "no intermediate code is written",
    "--interruptible": "guests can always be interrupted",
    "--generic-binary": "the module stays portable",
}
"""Options that are accepted and change nothing, with what is so instead."""

STATISTICS: dict[str, str] = {
    "--enable-instruction-count": "Count instructions.",
    "--enable-gas-measuring": "Measure gas.",
    "--enable-time-measuring": "Measure time.",
    "--enable-all-statistics": "All three.",
}


def proposals(switches: set[str]) -> tuple[tuple[str, bool], ...]:
    """wasmtime's settings for the given option names; what is off wins."""
    settings: dict[str, bool] = {}
    for table, value in ((ENABLED, True), (STANDARDS, False), (PROPOSALS, False)):
        for option, names in table.items():
            if option in switches:
                settings.update(dict.fromkeys(names, value))
    return tuple(sorted(settings.items()))


def common_options(command: Any) -> Any:
    """Log level, proposals and statistics: what every subcommand takes."""
    for table in (WITHOUT_MEANING, PROPOSALS, STANDARDS, ENABLED):
        for name in table:
            command = click.option(name, is_flag=True, hidden=True)(command)
    for name, help_ in STATISTICS.items():
        command = click.option(name, is_flag=True, help=help_)(command)
    return click.option(
        "--log-level", type=click.Choice(list(_LEVELS)), default="info", show_default=True,
        help="The least level of the log lines on stderr.",
    )(command)  # fmt: skip


def configure(log_level: str, switches: dict[str, bool]) -> EngineSettings:
    """Set the log up, say what has no meaning here, and answer the engine's settings."""
    log.configure(_LEVELS[log_level])
    if log_level == "off":
        logging.getLogger().setLevel(logging.CRITICAL + 1)
    given = {"--" + name.replace("_", "-") for name, value in switches.items() if value}
    for option in sorted(given & WITHOUT_MEANING.keys()):
        _log.debug("%s has no effect here: %s", option, WITHOUT_MEANING[option])
    return EngineSettings(proposals=proposals(given))
