"""Pictures by URL: a front that fetches them from servers of the test's own."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamaedge_launcher.proxy.remote import fetch, pictures
from llamaedge_launcher.proxy.remote.pictures import Pictures

from ...models.pictures import bmp, gif, png, url
from ..conftest import Front, StartFront, starting
from .web import Page, Web, serving

RED = png((255, 0, 0))
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def served() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def web(served: Web) -> Web:
    served.asked.clear()
    served.hosts.clear()
    served.pages = {"/red.png": Page(RED)}
    return served


@pytest.fixture(scope="module")
def front(served: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start(image_urls=[served.host, f"localhost:{served.port}"])


def request(*urls: str, **fields: Any) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": each, "detail": "low"}} for each in urls]
    content = [{"type": "text", "text": "see"}, *parts]
    return {"messages": [{"role": "user", "content": content}], **fields}


def seen(client: httpx.Client, body: dict[str, Any], path: str = CHAT) -> list[str]:
    """The URLs of the pictures that the guest is given."""
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    found = json.loads(response.json()["body"])["messages"][0]["content"]
    return [part["image_url"]["url"] for part in found[1:]]


def test_a_guest_gets_the_picture_in_the_place_of_its_url(client: httpx.Client, web: Web) -> None:
    web.pages |= {"/b": Page(bmp((1, 2, 3))), "/g?s=1": Page(gif((1, 2, 3)))}
    given = [web.url("/red.png"), url(RED), web.url("/b"), web.url("/g?s=1"), web.url("/b")]
    kinds = [each[11:15] for each in seen(client, request(*given))]
    assert kinds == ["png;", "png;", "bmp;", "gif;", "bmp;"]
    assert seen(client, request(web.url("/red.png"))) == [url(RED)]
    assert web.asked == ["/red.png", "/b", "/g?s=1", "/red.png"]
    assert set(web.hosts) == {web.host}


def test_other_forms_and_dialects_have_them_too(client: httpx.Client, web: Web) -> None:
    part = {"type": "image_url", "image_url": web.url("/red.png")}
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]}
    assert seen(client, body) == [url(RED)]
    assert seen(client, body, "/chat/completions") == [url(RED)]
    assert seen(client, body, "/apply-template") == [url(RED)]
    source = {"type": "url", "url": web.url("/red.png")}
    content = [{"type": "image", "source": source}]
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    client.post("/v1/messages", json=asked)
    assert len(web.asked) == 4


def test_nothing_is_fetched_unless_it_is_allowed(start_front: StartFront, web: Web) -> None:
    with start_front().client() as client:
        for stream in (False, True):
            response = client.post(CHAT, json=request(web.url("/red.png"), stream=stream))
            error = response.json()["error"]
            assert response.status_code == 400
            assert "--image-urls" in error["message"]
            assert error["param"] == "messages[0].content[1].image_url"
        assert seen(client, request(url(RED))) == [url(RED)]
    assert web.asked == []


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of pictures, and what lies beside it."""
    folder = tmp_path / "album"
    folder.joinpath("in").mkdir(parents=True)
    folder.joinpath("in", "r d.png").write_bytes(RED)
    folder.joinpath("in", "text").write_bytes(b"<html>")
    folder.joinpath("within").symlink_to(folder / "in" / "r d.png")
    tmp_path.joinpath("red.png").write_bytes(RED)
    folder.joinpath("out").symlink_to(tmp_path / "red.png")
    folder.joinpath("all").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


def test_files_are_read_below_the_folder_that_is_named(
    start_front: StartFront, album: Path
) -> None:
    good = ("file://in/r d.png", "FILE:////in//r%20d.png", "file:///within")
    bad = (
        *("file://../red.png", "file://in/../../red.png", "file://%2e%2e/red.png", "file://"),
        *("file://./in/r d.png", "file://out", "file://all/red.png", "file://pipe", "file://in"),
        *("file://in/none.png", "file://in/text", "file:in/r d.png", f"file://{album}/in/r d.png"),
    )
    with start_front(media_path=str(album)).client() as client:
        assert seen(client, request(*good)) == [url(RED)] * len(good)
        for each in bad:
            response = client.post(CHAT, json=request(each))
            assert response.status_code == 400, each
            error = response.json()["error"]
            assert error["param"] == "messages[0].content[1].image_url"
            assert str(album.parent) not in error["message"]
        refused = client.post(CHAT, json=request("http://example.org/a.png"))
        assert "--image-urls" in refused.json()["error"]["message"]


def to(where: str, status: int = 302) -> Page:
    return Page(status=status, headers={"Location": where})


def other_name(web: Web) -> str:
    return web.url("/red.png", host="localhost")


REFUSED: dict[str, tuple[Callable[[Web], Page | str], str]] = {
    "a name of a private address": (other_name, "localhost is .*not an address of the public"),
    "another port": (lambda web: "http://127.0.0.1:1/a.png", "127.0.0.1:1 is not among the hosts"),
    "another host": (lambda web: "http://example.org/a.png", "example.org:80 is not among"),
    "a file": (lambda web: "file:///etc/passwd", "for file:// with --media-path"),
    "another scheme": (lambda web: "ftp://example.org/a.png", "only http and https"),
    "a user's password": (lambda web: f"http://me:key@{web.host}/red.png", "name or password"),
    "a redirect to a private address": (lambda web: to(other_name(web)), "localhost is"),
    "a redirect to another host": (lambda web: to("http://example.org/a.png"), "not among"),
    "a redirect to a file": (lambda web: to("file:///etc/passwd"), "only http and https"),
    "a redirect to itself": (lambda web: to("/x"), "3 redirects are followed"),
    "nothing": (lambda web: Page(status=404), "answers 404"),
    "no picture": (lambda web: Page(b"<html>"), "not a PNG, JPEG, GIF or BMP file"),
    "an empty file": (lambda web: Page(), "not a PNG, JPEG, GIF or BMP file"),
    "a compressed one": (lambda web: Page(RED, headers={"Content-Encoding": "gzip"}), "compressed"),
    "one cut off": (lambda web: Page(RED, length=len(RED) + 9), "."),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_had_is_the_clients_error(client: httpx.Client, web: Web, what: str) -> None:
    make, said = REFUSED[what]
    made = make(web)
    if isinstance(made, Page):
        web.pages["/x"] = made
        made = web.url("/x")
    response = client.post(CHAT, json=request(made))
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == "invalid_image_url"
    assert re.search(said, error["message"]), error["message"]
    assert "key" not in error["message"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(client: httpx.Client, web: Web, status: int) -> None:
    web.pages |= {"/1": to("/2", status), "/2": to(web.url("/3")), "/3": to("red.png")}
    assert seen(client, request(web.url("/1"))) == [url(RED)]


def test_pictures_count_for_the_size_of_the_body(start_front: StartFront, web: Web) -> None:
    web.pages["/large"] = Page(bmp((1, 2, 3), 400))
    with start_front(image_urls=[web.host], max_body_size=200_000).client() as client:
        response = client.post(CHAT, json=request(web.url("/large")))
        assert response.status_code == 413
        assert seen(client, request(web.url("/red.png"))) == [url(RED)]


async def nothing_taken(web: Web, *urls: str) -> str:
    with pytest.raises(pictures.ApiError) as raised:
        await Pictures([web.host]).inline(request(*urls), lambda size: None)
    return raised.value.message


def run(work: Any) -> Any:
    import anyio

    return anyio.run(work)


def test_a_file_has_a_largest_size(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MOST_BYTES", len(RED) - 1)
    assert "has more than" in run(lambda: nothing_taken(web, web.url("/red.png")))


def test_a_request_has_a_most_of_pictures(web: Web) -> None:
    many = [web.url(f"/red.png?{number}") for number in range(pictures.MOST + 1)]
    assert "at most 16 pictures" in run(lambda: nothing_taken(web, *many))
    assert web.asked == []


def test_what_takes_too_long_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SECONDS", 0.2)
    event = threading.Event()
    web.pages["/slow"] = Page(RED, wait=event)
    try:
        assert "do not come within" in run(lambda: nothing_taken(web, web.url("/slow")))
    finally:
        event.set()
