"""The options that every subcommand of `wasmedge` takes: the log level and switches, as tables."""

import logging
from typing import Any

import click

from llamaedge_host.modules import EngineSettings

from .. import log

_log = logging.getLogger(__name__)
_LEVELS = {
    "off": "critical", "trace": "debug", "debug": "debug", "info": "info", "warning": "warning",
    "warn": "warning", "error": "error", "fatal": "critical", "critical": "critical",
}  # fmt: skip
_RUN_MODES = ("interpreter", "jit", "aot", "lazyjit")

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
    "--disable-threads": ("wasm_threads", "shared_memory"),
}  # fmt: skip
"""Options that turn proposals off, by their names in wasmtime's configuration."""

ENABLED: dict[str, tuple[str, ...]] = {
    "--enable-threads": ("wasm_threads", "shared_memory"),
    "--enable-all": ("wasm_threads", "shared_memory"),
}
"""Options that turn proposals on that are off: all others that wasmtime has are on."""

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
"""What a version of the WebAssembly standard does not have yet; the last one given counts."""

_ON_ANYWAY = "it is on anyway"

WITHOUT_MEANING: dict[str, str] = {
    "--enable-tail-call": _ON_ANYWAY,
    "--enable-extended-const": _ON_ANYWAY,
    "--enable-function-reference": _ON_ANYWAY,
    "--enable-gc": _ON_ANYWAY,
    "--enable-multi-memory": _ON_ANYWAY,
    "--enable-relaxed-simd": _ON_ANYWAY,
    "--enable-exception-handling": _ON_ANYWAY,
    "--enable-component": "components are not run",
    "--allow-command-all": "guests cannot run commands",
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
    """wasmtime's settings for the given option names; --enable-all overrides the others."""
    settings: dict[str, bool] = {}
    standard = next((each for each in reversed(STANDARDS) if each in switches), None)
    off = {standard, *PROPOSALS} if "--enable-all" not in switches else set()
    for table, value in ((STANDARDS, False), (ENABLED, True), (PROPOSALS, False)):
        for option, names in table.items():
            if option in switches and (value or option in off):
                settings.update(dict.fromkeys(names, value))
    return tuple(sorted(settings.items()))


def common_options(command: Any) -> Any:
    """Log level, proposals and statistics: what every subcommand takes."""
    for table in (WITHOUT_MEANING, PROPOSALS, STANDARDS, ENABLED):
        for name in table:
            command = click.option(name, is_flag=True, hidden=True)(command)
    for name, help_ in STATISTICS.items():
        command = click.option(name, is_flag=True, help=help_)(command)
    command = click.option(
        "--forbidden-plugin", multiple=True, metavar="NAME",
        help="Do not provide a plugin; wasi_nn is the one there is.",
    )(command)  # fmt: skip
    return click.option(
        "--log-level", default="info", show_default=True, metavar="LEVEL",
        help=f"The least level of the log lines on stderr: {', '.join(_LEVELS)}.",
    )(command)  # fmt: skip


def configure(log_level: str, switches: dict[str, bool]) -> EngineSettings:
    """Set the log up, say what has no meaning here, and answer the engine's settings."""
    log.configure(_LEVELS.get(log_level, "info"))
    if log_level == "off":
        logging.getLogger().setLevel(logging.CRITICAL + 1)
    if log_level not in _LEVELS:
        known = ", ".join(_LEVELS)
        _log.warning("--log-level %s: it is one of %s; info is taken", log_level, known)
    given = {"--" + name.replace("_", "-") for name, value in switches.items() if value}
    for option in sorted(given & WITHOUT_MEANING.keys()):
        _log.debug("%s has no effect here: %s", option, WITHOUT_MEANING[option])
    return EngineSettings(proposals=proposals(given))


def say_run_mode(mode: str | None) -> None:
    """Log what becomes of --run-mode: nothing, as guests are always compiled."""
    if mode is None:
        return
    level = logging.DEBUG if mode.lower() in _RUN_MODES else logging.WARNING
    known = ", ".join(_RUN_MODES)
    _log.log(level, "--run-mode %s (of %s) has no effect here: guests are compiled", mode, known)
