"""LlamaEdge's document of its API server, example by example, through `llamaedge run`.

An example is its curl command as it stands there, sent to the server under test, and the answer
it shows: what is documented must be there, with values of the documented types.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .documented import like, request
from .running import LLAMAEDGE, START, Server, running

PARIS = """\
Paris, city and capital of France, situated in the north-central part of the country. People were \
living on the site of the present-day city by about 7600 BCE. The modern city has spread from the \
island (the Île de la Cité) and far beyond both banks of the Seine.

Paris occupies a central position in the rich agricultural region known as the Paris Basin. Area \
city, 41 square miles (105 square km); metropolitan area, 890 square miles (2,300 square km).

Pop. (2020 est.) city, 2,145,906; (2020 est.) urban agglomeration, 10,858,874.
"""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, module_cache: Path
) -> Iterator[Server]:
    with running(
        tmp_path_factory.mktemp("server"),
        "--nn-preload", f"default:GGML:AUTO:{smollm2}",
        "--nn-preload", f"embedding:GGML:AUTO:{smollm2}",
        "--prompt-template", "llama-3-chat,embedding",
        "--ctx-size", "4096,512",
        "--model-name", "llama-3-8b,e5-mistral-7b-instruct-Q5_K_M",
        "--n-predict", "16",
        "--parallel", "2",
        "--env", "RUST_LOG=debug",
    ) as server:  # fmt: skip
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is who types the commands."""
    folder = tmp_path_factory.mktemp("folder")
    folder.joinpath("paris.txt").write_text(PARIS)
    return folder


def curl(server: Server, command: str, folder: Path = Path()) -> Any:
    """The JSON that the command gets, its address replaced by the server's."""
    with httpx.Client(timeout=START) as client:
        response = client.send(request(command, server.wait_ready(), folder))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def test_models(server: Server) -> None:
    found = curl(
        server,
        "curl -X GET http://localhost:8080/v1/models -H 'accept:application/json'",
    )
    assert like(
        found,
        {
            "object": "list",
            "data": [
                {
                    "id": "llama-3-8b",
                    "created": 1697084821,
                    "object": "model",
                    "owned_by": "Not specified",
                }
            ],
        },
    )
    assert [each["id"] for each in found["data"]] == [
        "llama-3-8b",
        "e5-mistral-7b-instruct-Q5_K_M",
    ]
    assert {each["owned_by"] for each in found["data"]} == {"Not specified"}


def test_chat_completions(server: Server) -> None:
    found = curl(
        server,
        r"""curl -X POST http://localhost:8080/v1/chat/completions \
    -H 'accept:application/json' \
    -H 'Content-Type: application/json' \
    -d '{"messages":[{"role":"system", "content": "You are a helpful assistant."}, {"role":"user", "content": "Who is Robert Oppenheimer?"}], "model":"llama-3-8b"}'""",  # noqa: E501
    )
    assert like(
        found,
        {
            "id": "",
            "object": "chat.completion",
            "created": 1697092593,
            "model": "llama-3-8b",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Robert Oppenheimer was ..."},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
        },
    )
    assert found["model"] == "llama-3-8b"
    assert found["choices"][0]["message"]["content"]
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def upload(server: Server, folder: Path) -> Any:
    command = 'curl -X POST http://127.0.0.1:8080/v1/files -F "file=@paris.txt"'
    return curl(server, command, folder)


FILE = {
    "id": "file_4bc24593-2a57-4646-af16-028855e7802e",
    "bytes": 2161,
    "created_at": 1711611801,
    "filename": "paris.txt",
    "object": "file",
    "purpose": "assistants",
}


def test_upload_files(server: Server, folder: Path) -> None:
    found = upload(server, folder)
    assert like(found, FILE)
    assert re.fullmatch(r"file_[0-9a-f-]{36}", found["id"])
    assert found["bytes"] == len(PARIS.encode())
    assert (found["filename"], found["purpose"]) == ("paris.txt", "assistants")


def test_list_files(server: Server, folder: Path) -> None:
    made = upload(server, folder)
    found = curl(server, "curl -X GET http://127.0.0.1:8080/v1/files")
    assert like(found, {"object": "list", "data": [FILE]})
    assert made in found["data"]


def test_retrieve_information_about_a_specific_file(server: Server, folder: Path) -> None:
    made = upload(server, folder)
    found = curl(server, f"curl -X GET http://localhost:10086/v1/files/{made['id']}")
    assert found == made


def test_delete_a_specific_file(server: Server, folder: Path) -> None:
    made = upload(server, folder)
    found = curl(server, f"curl -X DELETE http://localhost:10086/v1/files/{made['id']}")
    assert found == {"id": made["id"], "object": "file", "deleted": True}


def test_chunks(server: Server, folder: Path) -> None:
    made = upload(server, folder)
    found = curl(
        server,
        r"""curl -X POST http://localhost:8080/v1/chunks \
    -H 'accept:application/json' \
    -H 'Content-Type: application/json' \
    -d '{"id":"ID", "filename":"paris.txt", "chunk_capacity":100}'""".replace("ID", made["id"]),
    )
    assert like(found, {"id": "", "filename": "", "chunks": ["Paris, city and capital ..."]})
    assert (found["id"], found["filename"]) == (made["id"], "paris.txt")
    assert "\n\n".join(found["chunks"]) == PARIS.strip()


def test_embeddings(server: Server) -> None:
    texts = [text for text in PARIS.splitlines() if text]
    body = json.dumps({"model": "e5-mistral-7b-instruct-Q5_K_M", "input": texts})
    found = curl(
        server,
        r"""curl -X POST http://localhost:8080/v1/embeddings \
    -H 'accept:application/json' \
    -H 'Content-Type: application/json' \
    -d """
        + shlex.quote(body),
    )
    assert like(
        found,
        {
            "object": "list",
            "data": [{"index": 0, "object": "embedding", "embedding": [0.1477311701]}],
            "model": "all-MiniLM-L6-v2-ggml-model-f16",
            "usage": {"prompt_tokens": 495, "completion_tokens": 0, "total_tokens": 495},
        },
    )
    assert [each["index"] for each in found["data"]] == list(range(len(texts)))
    assert len({len(each["embedding"]) for each in found["data"]}) == 1
    usage = found["usage"]
    assert usage["completion_tokens"] == 0
    assert usage["total_tokens"] == usage["prompt_tokens"] > 0


def test_completions(server: Server) -> None:
    found = curl(
        server,
        r"""curl -X POST http://localhost:8080/v1/completions \
    -H 'accept:application/json' \
    -H 'Content-Type: application/json' \
    -d '{"prompt":["Long long ago, "], "model":"tinyllama"}'""",
    )
    assert like(
        found,
        {
            "id": "b68bfc92-8b23-4435-bbe1-492e11c973a3",
            "choices": [
                {
                    "finish_reason": "stop",
                    "index": 0,
                    "logprobs": None,
                    "text": "in a galaxy far, far away, ...",
                }
            ],
            "created": 1702046592,
            "model": "tinyllama",
            "object": "text_completion",
            "usage": {"prompt_tokens": 3, "completion_tokens": 804, "total_tokens": 807},
        },
    )


OPTIONS = """
-m --model-name -a --model-alias -c --ctx-size -b --batch-size -p --prompt-template
-r --reverse-prompt -n --n-predict -g --n-gpu-layers --main-gpu --tensor-split --threads --no-mmap
--temp --top-p --repeat-penalty --presence-penalty --frequency-penalty --grammar --json-schema
--llava-mmproj --socket-addr --port --log-prompts --log-stat --log-all -h --help
"""


def test_cli_options() -> None:
    """All but --web-ui, whose files the bundled server serves under `wasmedge` alone."""
    result = subprocess.run([LLAMAEDGE, "run", "-h"], capture_output=True, text=True, check=True)
    listed = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", result.stdout))
    assert set(OPTIONS.split()) <= listed


def test_the_server_says_that_it_listens(server: Server) -> None:
    assert re.search(
        r"^ready in .*: http://\S+:[0-9]+/v1$", server.terminal.read_text(), re.MULTILINE
    )
