"""`wasmedge --reactor`: how arguments are read and results printed, for every type there is."""

from pathlib import Path

import pytest
from guests.wat import write_wat

from llamaedge_launcher.cli.wasmedge import execute

EXPORTS = """(module (global $g (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $g (i32.const 5)))
    (func (export "add") (param i32 i64) (result i32 i64)
        (i32.add (local.get 0) (global.get $g)) (i64.add (local.get 1) (i64.const 1)))
    (func (export "trap") unreachable)
    (func (export "none"))
    (func (export "i32") (param i32) (result i32) (local.get 0))
    (func (export "i64") (param i64) (result i64) (local.get 0))
    (func (export "f32") (param f32) (result f32) (local.get 0))
    (func (export "f64") (param f64) (result f64) (local.get 0))
    (func (export "v128") (param v128) (result v128) (local.get 0))
    (func (export "take funcref") (param funcref))
    (func (export "take externref") (param i32 externref))
    (func (export "take anyref") (param anyref))
    (func $f (export "funcref") (result funcref) (ref.func $f))
    (func (export "null funcref") (result funcref) (ref.null func))
    (func (export "null externref") (result externref) (ref.null extern))
    (func (export "anyref") (result anyref) (ref.i31 (i32.const 7)))
    (func (export "null anyref") (result anyref) (ref.null any)))"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_wat(tmp_path_factory.mktemp("reactor"), EXPORTS)


@pytest.mark.parametrize(
    ("words", "out"),
    [
        ("add -3 4", "2\n5\n"),
        ("none", ""),
        ("_initialize", ""),
        ("i32 2147483648", "-2147483648\n"),
        ("i32 +7", "7\n"),
        ("i64 -9223372036854775808", "-9223372036854775808\n"),
        ("i64 18446744073709551615", "-1\n"),
        ("v128 340282366920938463463374607431768211455", f"{2**128 - 1}\n"),
        ("f32 0.1", "0.1\n"),
        ("f32 1", "1\n"),
        ("f32 1234567", "1234567\n"),
        ("f32 1e7", "1e+07\n"),
        ("f32 16777216", "1.6777216e+07\n"),
        ("f32 0.0001", "0.0001\n"),
        ("f32 1.5e-5", "1.5e-05\n"),
        ("f32 -0.0", "-0\n"),
        ("f64 0.1", "0.1\n"),
        ("f64 3", "3\n"),
        ("f64 1e15", "1000000000000000\n"),
        ("f64 1e16", "1e+16\n"),
        ("f64 1e-5", "1e-05\n"),
        ("f64 -0", "-0\n"),
        ("f64 0x1.8p3", "12\n"),
        ("f64 .5", "0.5\n"),
        ("f64 inf", "inf\n"),
        ("f64 -Infinity", "-inf\n"),
        ("f64 nan", "nan\n"),
        ("funcref", "<funcref>\n"),
        ("anyref", "<anyref>\n"),
    ],
)
def test_what_is_printed(
    path: str, capfd: pytest.CaptureFixture[str], words: str, out: str
) -> None:
    assert execute(["--reactor", path, *words.split()]) == 0
    assert capfd.readouterr() == (out, "")


@pytest.mark.parametrize("kind", ["funcref", "externref", "anyref"])
def test_a_null_reference(path: str, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    assert execute(["--reactor", path, f"null {kind}"]) == 0
    assert capfd.readouterr().out == f"<null {kind}>\n"


@pytest.mark.parametrize(
    ("words", "out", "warning"),
    [
        (["i32", "12abc"], "12\n", "'12abc' is read as 12"),
        (["i32", "99999999999"], "1215752191\n", "more than 32 bits"),
        (["f64", "1.5e"], "1.5\n", "'1.5e' is read as 1.5"),
        (["f64", "0x"], "0\n", "'0x' is read as 0"),
    ],
)
def test_what_is_read_in_part_runs_with_a_warning(
    path: str, capfd: pytest.CaptureFixture[str], words: list[str], out: str, warning: str
) -> None:
    assert execute(["--reactor", path, *words]) == 0
    printed, err = capfd.readouterr()
    assert printed == out
    assert "[warning]" in err
    assert warning in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 1, "function name is required"),
        (["nothing"], 1, "not found"),
        (["add", "1"], 1, "expects 2"),
        (["add", "1", "2", "3"], 134, "expects 2"),
        (["add", "x", "1"], 1, "not of type i32"),
        (["add", "1", ""], 1, "not of type i64"),
        (["i64", "99999999999999999999"], 1, "out of range"),
        (["f32", "1e50"], 1, "out of range"),
        (["f64", "1e400"], 1, "out of range"),
        (["f64", "one"], 1, "not of type f64"),
        (["take funcref", "1"], 134, "parameter 1 of function `take funcref` is of type funcref"),
        (["take externref", "1", "2"], 134, "parameter 2 of function"),
        (["take anyref", "1"], 134, "of type reference"),
        (["trap"], 134, "unreachable"),
    ],
)
def test_what_cannot_be_called(
    path: str, capfd: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    assert execute(["--reactor", path, *words]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err


def test_without_a_start_function_the_switch_is_not_needed(
    path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert execute([path, "i32", "3"]) == 0
    assert capfd.readouterr().out == "3\n"


def test_a_start_function_with_parameters_is_called_with_them(tmp_path: Path) -> None:
    text = '(module (func (export "_start") (param i32) (if (local.get 0) (then unreachable))))'
    assert execute([write_wat(tmp_path, text), "0"]) == 0
    assert execute([write_wat(tmp_path, text), "1"]) == 134
