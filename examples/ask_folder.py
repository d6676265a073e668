"""Answers a question from the texts in a folder, with nothing but OpenAI's client.

Start a server first: ``llamaedge run --embeddings demo``. Then:
``python examples/ask_folder.py FOLDER "QUESTION"``. The second time, only files that have changed
are sent.
"""

import sys
from pathlib import Path

from openai import OpenAI

SUFFIXES = {".txt", ".md", ".html", ".pdf", ".py"}
PROMPT = "Answer from these texts alone. If they do not say, say so.\n\n"


def store_of(client: OpenAI, folder: Path) -> str:
    """The vector store of ``folder``, which holds its files as they are now."""
    name = str(folder.resolve())
    known = [each for each in client.vector_stores.list() if each.name == name]
    store = known[0].id if known else client.vector_stores.create(name=name).id
    stored = {
        (each.attributes or {}).get("version"): each.id
        for each in client.vector_stores.files.list(store)
    }
    paths = [path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    versions = {f"{path.relative_to(folder)} {path.stat().st_mtime_ns}": path for path in paths}
    for version in stored.keys() - versions.keys():
        client.files.delete(stored[version])
    for version in versions.keys() - stored.keys():
        added = client.vector_stores.files.upload_and_poll(
            vector_store_id=store, file=versions[version], attributes={"version": version}
        )
        if added.last_error:
            print(f"{versions[version]}: {added.last_error.message}", file=sys.stderr)
    return store


def ask(client: OpenAI, folder: Path, question: str) -> tuple[str, list[str]]:
    """The answer, and the names of the files that it comes from, the nearest first."""
    found = client.vector_stores.search(
        store_of(client, folder), query=question, max_num_results=3
    ).data
    texts = [f"{each.filename}: {each.content[0].text}" for each in found]
    answer = client.chat.completions.create(
        model="default",
        messages=[
            {"role": "system", "content": PROMPT + "\n\n".join(texts)},
            {"role": "user", "content": question},
        ],
        max_tokens=256,
    )
    return answer.choices[0].message.content or "", [each.filename for each in found]


if __name__ == "__main__":
    server = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none")
    said, files = ask(server, Path(sys.argv[1]), sys.argv[2])
    print(f"{said}\n\nFrom: {', '.join(dict.fromkeys(files))}")
