"""What a wrong file is, in words."""

import pytest

from llamaedge_host.first_bytes import described


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"\0asm\x01\0\0\0", "it is a WebAssembly module"),
        (b"GGUF\x03\0\0\0", "it is a GGUF model"),
        (b"\x7fELF\x02\x01", "it is machine code (ELF)"),
        (b"PK\x03\x04", "it is a ZIP archive"),
        (b"\n<!DOCTYPE html>", "it is a web page or XML"),
        (b"version https://git-lfs.github.com", "it is a Git LFS pointer instead of the file"),
        (b"  (module (func))", "it is WebAssembly in the text format"),
        (b"once upon a time", 'it begins with "once upon a "'),
        (b"a", 'it begins with "a"'),
        (b"#!/bin/sh\nexit", "it begins with the bytes 23 21 2f 62 69 6e 2f 73"),
        ("één".encode(), "it begins with the bytes c3 a9 c3 a9 6e"),
        (b"\0\0\0\0", "it begins with the bytes 00 00 00 00"),
        (b"\n\n", "it begins with the bytes 0a 0a"),
    ],
)
def test_described(data: bytes, words: str) -> None:
    assert described(data) == words


def test_a_callers_kinds_come_first() -> None:
    kinds = [("a song", rb"<.{2}song"), ("a bell", rb"\a")]
    assert described(b"<\n\nsong>", kinds) == "it is a song"
    assert described(b"<html>", kinds) == "it is a web page or XML"
