"""The prompts of named templates are those that the models' authors publish."""

import json

import pytest

from ..ggml import published
from .render_templates import EOS, TESTDATA, render

PUBLISHED = {
    "llama-3-tool": "meta-llama-Llama-3.1-8B-Instruct",
    "chatml-tool": "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "phi-3-chat": "microsoft-Phi-3.5-mini-instruct",
    "gemma-instruct": "google-gemma-2-2b-it",
    "functionary-31": "meetkai-functionary-medium-v3.1",
    "functionary-32": "meetkai-functionary-medium-v3.2",
    "qwen3-agent": "Qwen-Qwen3-0.6B",
    "qwen3-no-think": "Qwen-Qwen3-0.6B",
    "seed-oss-think": "ByteDance-Seed-OSS",
    "seed-oss-no-think": "ByteDance-Seed-OSS",
    "smol3-no-think": "HuggingFaceTB-SmolLM3-3B",
    "gpt-oss": "openai-gpt-oss-120b",
}
"""Names of formats, and the templates of the same format that llama.cpp's sources carry."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_named_template_writes_what_the_published_one_writes(
    request: pytest.FixtureRequest, name: str
) -> None:
    source = published.templates(request.config.cache)[PUBLISHED[name]]
    conversations = json.loads((TESTDATA / "conversations.json").read_text())
    golden = json.loads((TESTDATA / "golden.json").read_text())[name]
    assert golden
    assert name not in EOS
    for case, expected in golden.items():
        assert render(name, source, conversations[case]) == expected, case
