"""Which web pages may ask, before a scripted guest (fake_worker.py)."""

import httpx
import pytest

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"
PAGE = "https://chat.example.com"


def preflight(client: httpx.Client, origin: str, asked: str = "x-one, X-Two") -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked,
    }
    return client.options(CHAT, headers=headers)


def cors(response: httpx.Response) -> dict[str, str]:
    return {
        name: value for name, value in response.headers.items() if name.startswith("access-control")
    }


def ask(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post(CHAT, json={"messages": []}, headers=headers)


def test_no_page_is_let_in_unless_named(client: httpx.Client) -> None:
    assert cors(preflight(client, PAGE)) == {}
    assert cors(client.get("/v1/info", headers={"Origin": PAGE})) == {}
    response = ask(client, Origin=PAGE)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "origin_not_allowed"
    assert "--cors-origin" in response.json()["error"]["message"]
    assert ask(client, Origin="null").status_code == 403


def test_a_page_of_the_server_itself_is_let_in(client: httpx.Client, front: Front) -> None:
    assert ask(client, Origin=front.url).status_code == 200


@pytest.mark.parametrize("keys", [(), ("k",)])
def test_a_named_page_is_let_in(start_front: StartFront, keys: tuple[str, ...]) -> None:
    front = start_front(origins=(PAGE,), keys=keys)
    with front.client() as client:
        response = preflight(client, PAGE)
        assert response.status_code == 200
        found = cors(response)
        assert found["access-control-allow-origin"] == PAGE
        assert "POST" in found["access-control-allow-methods"]
        names = {name.strip() for name in found["access-control-allow-headers"].split(",")}
        assert names >= {"authorization", "content-type", "x-api-key", "x-one", "x-two"}
        answer = ask(client, Origin=PAGE, Authorization="Bearer k")
        assert answer.status_code == 200
        assert cors(answer)["access-control-allow-origin"] == PAGE
        assert "origin" in answer.headers["vary"].lower()
        assert "access-control-allow-origin" not in cors(preflight(client, "https://other.org"))


def test_a_named_page_of_the_internet_is_let_into_a_private_network(
    start_front: StartFront,
) -> None:
    """A browser asks for that, too, where a public page wants to speak to this machine."""
    headers = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    with start_front(origins=(PAGE,)).client() as client:
        answer = client.options(CHAT, headers={**headers, "Origin": PAGE})
        assert answer.status_code == 200
        assert cors(answer)["access-control-allow-private-network"] == "true"
        assert cors(client.options(CHAT, headers={**headers, "Origin": "https://other.org"})) == {}


def test_any_page_is_let_in_by_a_star(start_front: StartFront) -> None:
    front = start_front(origins=("*",))
    with front.client() as client:
        asked = preflight(client, PAGE)
        assert (asked.status_code, cors(asked)["access-control-allow-origin"]) == (200, PAGE)
        assert cors(asked)["access-control-allow-methods"] == "GET, POST, DELETE, OPTIONS"
        answer = ask(client, Origin=PAGE)
        assert cors(answer)["access-control-allow-origin"] == PAGE
        assert "origin" in answer.headers["vary"].lower()
        assert ask(client, Origin="null").status_code == 200
        assert ask(client, Host="rebound.example.com").status_code == 200


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("http://localhost", True),
        ("http://localhost:5173", True),
        ("https://127.0.0.1:3000", True),
        ("http://[::1]:3000", True),
        ("http://notlocalhost", False),
        ("http://localhost.evil.com", False),
        ("http://127.0.0.1.evil.com", False),
        ("http://localhost:80@evil.com", False),
        (PAGE, False),
    ],
)
def test_pages_of_this_machine_are_let_in_by_its_name(
    start_front: StartFront, origin: str, let_in: bool
) -> None:
    front = start_front(origins=("localhost",))
    with front.client() as client:
        asked = preflight(client, origin)
        assert asked.status_code == 200
        assert cors(asked).get("access-control-allow-origin") == (origin if let_in else None)
        assert ask(client, Origin=origin).status_code == (200 if let_in else 403)


@pytest.mark.parametrize("origins", [(), (PAGE,)])
def test_the_guests_own_cors_headers_go_no_further(
    start_front: StartFront, origins: tuple[str, ...]
) -> None:
    front = start_front(origins=origins)
    head = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n"
    body = {"messages": [], "answer": "plain_error", "status": 200, "head": head}
    with front.client() as client:
        response = client.post(CHAT, json=body, headers={"Origin": PAGE} if origins else {})
    assert response.text == "no luck\r\n"
    assert response.headers.get("access-control-allow-origin") == (origins[0] if origins else None)
    assert "access-control-allow-headers" not in response.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:80", 200),
        ("[::1]:8080", 200),
        ("me.localhost", 200),
        ("example.com", 403),
        ("localhost.example.com", 403),
        ("127.0.0.1.example.com", 403),
        ("192.168.0.1:8080", 403),
        ("[::1", 403),
    ],
)
def test_the_host_must_be_this_machine(client: httpx.Client, host: str, status: int) -> None:
    response = client.get("/v1/info", headers={"Host": host})
    assert response.status_code == status, response.text
    if status == 403:
        assert response.json()["error"]["code"] == "host_not_allowed"


def test_the_host_of_a_named_page_is_let_in(start_front: StartFront) -> None:
    """So a reverse proxy may keep the name."""
    front = start_front(origins=(PAGE,))
    with front.client() as client:
        headers = {"Host": "chat.example.com", "Origin": PAGE}
        assert client.get("/v1/info", headers=headers).status_code == 200
        assert client.get("/v1/info", headers={"Host": "example.com"}).status_code == 403
