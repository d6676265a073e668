"""Bodies that clients have compressed."""

import gzip

import httpx
import pytest

from llamaedge_launcher.proxy.gzipped import gunzipped

from .conftest import StartFront

CHAT = "/v1/chat/completions"
BODY = b'{"messages": [], "long": "%s"}' % (b"x" * 3_000_000)


def post(client: httpx.Client, content: bytes, coding: str = "gzip") -> httpx.Response:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    return client.post(CHAT, content=content, headers=headers)


@pytest.mark.parametrize("given", [[], [b""], [b"a"], [BODY], [b"a", b"b" * 2_000_000]])
def test_what_gzip_has_made_is_read_again(given: list[bytes]) -> None:
    sizes: list[int] = []
    assert gunzipped(b"".join(map(gzip.compress, given)), sizes.append) == b"".join(given)
    assert sum(sizes) == len(b"".join(given))
    assert all(size <= 1 << 20 for size in sizes)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"plain", "cannot be read"),
        (gzip.compress(BODY)[:-9], "ends early"),
        (gzip.compress(BODY)[:5], "ends early"),
        (gzip.compress(b"a") + b"bc", "cannot be read"),
    ],
)
def test_what_it_has_not_made_is_refused(given: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        gunzipped(given, lambda _: None)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_the_guest_gets_the_body_as_it_is(client: httpx.Client, coding: str) -> None:
    seen = post(client, gzip.compress(BODY), coding).json()
    assert seen["body"].encode() == BODY
    assert seen["headers"]["content-length"] == str(len(BODY))
    assert "content-encoding" not in seen["headers"]
    assert post(client, BODY, "identity").status_code == 200


def test_other_codings_are_named(client: httpx.Client) -> None:
    answer = post(client, b"...", "br")
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")
    assert "'br'" in answer.json()["error"]["message"]
    answer = post(client, b"...")
    assert answer.status_code == 400
    assert "gzip" in answer.json()["error"]["message"]


def test_a_body_may_not_grow_too_large(start_front: StartFront) -> None:
    with start_front(max_body_size=1 << 20).client() as client:
        assert post(client, gzip.compress(BODY)).status_code == 413
