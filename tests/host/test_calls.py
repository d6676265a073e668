"""What the functions that a guest exports take and answer, and what a host call that fails ends."""

import signal
from collections.abc import Callable, Sequence

import pytest
from wasmtime import wat2wasm

from llamaedge_host import Guest, GuestTrap, HostError
from llamaedge_host.imports import HostFunction, Provider
from llamaedge_host.values import Reference

ENDS: dict[str, Callable[[], object]] = {
    "KeyboardInterrupt": lambda: signal.raise_signal(signal.SIGINT),
    "SystemExit": lambda: exec("raise SystemExit(3)"),
    "GeneratorExit": lambda: exec("raise GeneratorExit"),
}


class Calls(Provider):
    """Provides ``env.call`` of any type."""

    fault = 0

    def __init__(self, function: HostFunction) -> None:
        self._function = function

    def resolve(self, module: str, name: str, params: str, results: str) -> HostFunction | None:
        return self._function if module == "env" else None

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def calling(type_: str, providers: Sequence[Provider]) -> Guest:
    """A guest that calls an import of one parameter."""
    return Guest(
        bytes(
            wat2wasm(f"""(module (import "env" "call" (func $call (param {type_})))
                (func (export "_start") (call $call ({type_}.const 1))))""")
        ),
        providers=providers,
    )


@pytest.mark.parametrize("type_", ["i32", "i64"])
@pytest.mark.parametrize("end", ENDS)
def test_what_ends_python_comes_through_a_guest_as_itself(end: str, type_: str) -> None:
    with calling(type_, [Calls(lambda _: ENDS[end]())]) as guest:  # type: ignore[arg-type, return-value]
        with pytest.raises(BaseException) as caught:
            guest.run()
        assert type(caught.value).__name__ == end


@pytest.mark.parametrize("type_", ["i32", "i64"])
def test_a_hosts_fault_is_a_trap(type_: str) -> None:
    def fail(_argument: int) -> int:
        raise ValueError("a bug")

    with calling(type_, [Calls(fail)]) as guest, pytest.raises(GuestTrap, match="a bug"):
        guest.run()


EXPORTS = """(module
    (type $s (struct))
    (func (export "i32") (param i32) (result i32) (local.get 0))
    (func (export "i64") (param i64) (result i64) (local.get 0))
    (func (export "f32") (param f32) (result f32) (local.get 0))
    (func (export "f64") (param f64) (result f64) (local.get 0))
    (func (export "v128") (param v128) (result v128) (local.get 0))
    (func (export "funcref") (param funcref) (result funcref) (local.get 0))
    (func (export "externref") (param externref) (result externref) (local.get 0))
    (func (export "anyref") (param anyref) (result anyref) (local.get 0))
    (func (export "struct") (param (ref null $s)) (result (ref null $s)) (local.get 0))
    (func $f (export "a function") (result funcref) (ref.func $f))
    (func (export "a number") (result anyref) (ref.i31 (i32.const 7)))
    (func (export "a struct") (result (ref $s)) (struct.new $s))
    (func (export "nothing"))
    (func (export "many") (param i32 v128 f64) (result i64 f32 v128 i32)
        (i64.const -1) (f32.const 0.5) (local.get 1) (local.get 0)))"""


@pytest.fixture(scope="module")
def guest():  # type: ignore[no-untyped-def]
    with Guest(bytes(wat2wasm(EXPORTS))) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "argument", "answer"),
    [
        ("i32", 5, 5),
        ("i32", -1, -1),
        ("i32", 2**32 - 1, -1),
        ("i32", -(2**31), -(2**31)),
        ("i64", -(2**63), -(2**63)),
        ("i64", 2**64 - 1, -1),
        ("f32", 0.5, 0.5),
        ("f32", 3, 3.0),
        ("f64", 0.1, 0.1),
        ("f64", float("inf"), float("inf")),
        ("v128", 0, 0),
        ("v128", 2**128 - 1, 2**128 - 1),
        ("funcref", None, None),
        ("externref", None, None),
        ("anyref", None, None),
        ("struct", None, None),
    ],
)
def test_values_go_in_and_out(guest: Guest, name: str, argument: object, answer: object) -> None:
    assert guest.call(name, argument) == answer  # type: ignore[arg-type]


def test_none_and_many_results(guest: Guest) -> None:
    assert guest.call("nothing") is None
    assert guest.call("many", 7, 2**127, 1.0) == [-1, 0.5, 2**127, 7]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a function", "funcref"), ("a number", "reference"), ("a struct", "reference")],
)
def test_a_reference_is_opaque(guest: Guest, name: str, kind: str) -> None:
    assert guest.call(name) == Reference(kind)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", (1,), "takes 0 arguments, was given 1"),
        ("i32", (), "takes 1 argument, was given 0"),
        ("i32", (1, 2), "takes 1 argument"),
        ("i32", (2**32,), "i32"),
        ("i32", (-(2**31) - 1,), "i32"),
        ("i32", (1.5,), "i32"),
        ("i64", (2**64,), "i64"),
        ("v128", (2**128,), "v128"),
        ("f64", ("1",), "f64"),
        ("funcref", (1,), "funcref"),
        ("externref", ("text",), "externref"),
        ("anyref", (1,), "reference"),
    ],
)
def test_a_wrong_argument_is_named(
    guest: Guest, name: str, arguments: tuple[int, ...], message: str
) -> None:
    with pytest.raises(HostError, match=message):
        guest.call(name, *arguments)


@pytest.mark.parametrize("type_", ["v128", "anyref", "externref", "(ref null func)"])
def test_an_import_of_any_type_is_linked_to_a_trap(type_: str) -> None:
    text = f"""(module (import "env" "f" (func $f (param {type_}) (result {type_})))
        (func (export "_start")))"""
    with Guest(bytes(wat2wasm(text))) as guest:
        assert guest.run() == 0
    with pytest.raises(HostError, match=r"env\.f"):
        Guest(bytes(wat2wasm(text)), strict_imports=True)
