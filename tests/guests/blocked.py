"""Guests that are busy in one way or another until they are stopped."""

from wasmtime import wat2wasm

MODULE = "wasi_snapshot_preview1"

_SETUP = """
    (drop (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
    (i32.store (i32.const 16) (i32.const 32))
    (i32.store (i32.const 20) (i32.const 4))
    (i32.store (i32.const 32) (i32.const 0x0100007f))
    (drop (call $bind (i32.load (i32.const 0)) (i32.const 16) (i32.const 0)))
    (drop (call $listen (i32.load (i32.const 0)) (i32.const 8)))
    (i32.store (i32.const 64) (i32.const 4096))
    (i32.store (i32.const 68) (i32.const 1024))"""
"""A listener in 0, an iovec of 1 KiB in 64."""

_CONNECT = """
    (drop (call $localaddr (i32.load (i32.const 0)) (i32.const 16) (i32.const 8) (i32.const 12)))
    (drop (call $open (i32.const 1) (i32.const 2) (i32.const 4)))
    (drop (call $connect (i32.load (i32.const 4)) (i32.const 16) (i32.load (i32.const 12))))"""
"""A connection to itself in 4, which nobody accepts."""

_POLL = """
    (i64.store (i32.const 128) (i64.const 1))
    (i32.store8 (i32.const 136) (i32.const 1))
    (i32.store (i32.const 144) (i32.load (i32.const 0)))
    (drop (call $poll (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 512)))"""

_SLEEP = """
    (i32.store8 (i32.const 136) (i32.const 0))
    (i32.store (i32.const 144) (i32.const 1))
    (i64.store (i32.const 152) (i64.const 3600000000000))
    (drop (call $poll (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 512)))"""

_WRITES = """
    (i32.store (i32.const 68) (i32.const 0))
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 8)))
      (br $again))"""

_FILLS = """
    (i32.store (i32.const 64) (i32.const 4096))
    (i32.store (i32.const 68) (i32.const 10000))
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 8)))
      (br $again))"""

_SENDS = """
    (loop $again
      (drop (call $send (i32.load (i32.const 4)) (i32.const 64) (i32.const 1)
            (i32.const 0) (i32.const 8)))
      (br $again))"""

_COMPUTES = """
    (i32.store8 (i32.const 600) (i32.const 109))
    (drop (call $load (i32.const 600) (i32.const 1) (i32.const 608)))
    (drop (call $context (i32.load (i32.const 608)) (i32.const 612)))
    (loop $again
      (drop (call $compute (i32.load (i32.const 612))))
      (br $again))"""

WAYS = {
    "spins": "(loop $again (br $again))",
    "polls": _SETUP + _POLL,
    "sleeps": _SLEEP,
    "accepts": _SETUP + "(drop (call $accept (i32.load (i32.const 0)) (i32.const 8)))",
    "receives": _SETUP
    + _CONNECT
    + """(drop (call $recv (i32.load (i32.const 4)) (i32.const 64) (i32.const 1) (i32.const 0)
               (i32.const 8) (i32.const 12)))""",
    "sends": _SETUP + _CONNECT + _SENDS,
    "reads": "(drop (call $read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 8)))",
    "writes": _WRITES,
    "fills": _FILLS,
    "computes": _COMPUTES,
    "exits": _SETUP + _CONNECT + "(call $exit (i32.const 7))",
    "traps": _SETUP + _CONNECT + "unreachable",
}
"""What a guest does, by name; the last two end by themselves."""

ENDS = {"exits", "traps"}


def guest(way: str) -> bytes:
    """The module of a guest that does ``way``; its ``_start`` never returns."""
    return bytes(
        wat2wasm(f"""(module
        (import "{MODULE}" "sock_open" (func $open (param i32 i32 i32) (result i32)))
        (import "{MODULE}" "sock_bind" (func $bind (param i32 i32 i32) (result i32)))
        (import "{MODULE}" "sock_listen" (func $listen (param i32 i32) (result i32)))
        (import "{MODULE}" "sock_accept" (func $accept (param i32 i32) (result i32)))
        (import "{MODULE}" "sock_connect" (func $connect (param i32 i32 i32) (result i32)))
        (import "{MODULE}" "sock_getlocaladdr"
          (func $localaddr (param i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "sock_recv"
          (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "proc_exit" (func $exit (param i32)))
        (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "init_execution_context"
          (func $context (param i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") {WAYS[way]}))""")
    )
