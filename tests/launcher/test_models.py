"""/v1/models/{id}, and what of OpenAI's endpoints this server has not."""

from collections.abc import Iterator

import httpx
import openai
import pytest

from .conftest import Front, StartFront, starting


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start(models={"other": "serve"})


@pytest.fixture
def api(front: Front) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{front.url}/v1", api_key="none", max_retries=0)


def test_a_model_is_told_by_its_id_and_its_name(api: openai.OpenAI, client: httpx.Client) -> None:
    listed = {each.id: each for each in api.models.list()}
    assert list(listed) == ["default", "other"]
    assert api.models.retrieve("other") == listed["other"]
    told = listed["other"].model_dump(exclude_unset=True)
    assert client.get("/v1/models/acme/other").json() == told
    assert client.get("/models/acme/other").json() == told
    assert client.head("/v1/models/other").status_code == 200


def test_default_is_the_first(start_front: StartFront) -> None:
    front = start_front(models={"other": "serve"})
    with front.client() as client:
        assert client.get("/v1/models/default").json()["id"] == "default"


def test_one_that_is_not_here_is_a_404(api: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="GET /v1/models lists") as raised:
        api.models.retrieve("gpt-4")
    assert raised.value.code == "model_not_found"


def test_deletion_is_elsewhere(api: openai.OpenAI, client: httpx.Client) -> None:
    with pytest.raises(openai.APIStatusError, match="DELETE /api/models/NAME") as raised:
        api.models.delete("other")
    assert raised.value.status_code == 405
    assert "GET" in raised.value.response.headers["allow"]
    assert client.get("/v1/models/other").status_code == 200


def test_a_server_that_loads_says_so(start_front: StartFront) -> None:
    with start_front("slow", "60", ready=False).client() as client:
        response = client.get("/v1/models/default")
        assert response.status_code == 503
        assert response.headers["retry-after"]


def test_what_is_not_here_says_what_to_do(api: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"judges no texts.*Llama Guard") as raised:
        api.moderations.create(input="a")
    assert raised.value.code == "unsupported_endpoint"
    with pytest.raises(openai.NotFoundError, match="makes no pictures"):
        api.images.generate(prompt="a")
    with pytest.raises(openai.NotFoundError, match="makes no pictures"):
        api.images.edit(image=b"a", prompt="a")


def test_another_guest_may_serve_it(start_front: StartFront) -> None:
    with start_front(known_only=False).client() as client:
        response = client.post("/v1/moderations", json={"input": "a"})
        assert response.status_code == 200
        assert "error" not in response.json()
