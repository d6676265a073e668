"""The format of a model for servers that need its name, told by its template."""

import pytest

from llamaedge_host.ggml.llama.gguf import Gguf
from llamaedge_launcher.cli import templates
from llamaedge_launcher.errors import LauncherError

from ..ggml import published

FORMATS = {
    "Qwen-Qwen2.5-7B-Instruct": ("qwen2", "chatml"),
    "Qwen-Qwen3-0.6B": ("qwen3", "qwen3-agent"),
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": ("llama", "chatml"),
    "HuggingFaceTB-SmolLM3-3B": ("smollm3", "smol3-no-think"),
    "meta-llama-Llama-3.1-8B-Instruct": ("llama", "llama-3-chat"),
    "meta-llama-Llama-3.3-70B-Instruct": ("llama", "llama-3-chat"),
    "meetkai-functionary-medium-v3.1": ("llama", "functionary-31"),
    "meetkai-functionary-medium-v3.2": ("llama", "functionary-32"),
    "mistralai-Mistral-Nemo-Instruct-2407": ("llama", "mistral-instruct"),
    "Mistral-Small-3.2-24B-Instruct-2506": ("llama", "mistral-small-chat"),
    "google-gemma-2-2b-it": ("gemma2", "gemma-instruct"),
    "microsoft-Phi-3.5-mini-instruct": ("phi3", "phi-3-chat"),
    "openai-gpt-oss-120b": ("gpt-oss", "gpt-oss"),
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": ("qwen2", "deepseek-chat-3"),
    "deepseek-ai-DeepSeek-V3.1": ("deepseek2", "deepseek-chat-3"),
    "ByteDance-Seed-OSS": ("seed_oss", "seed-oss-think"),
}
UNNAMED = ("moonshotai-Kimi-K2", "ibm-granite-granite-4.0", "llama-cpp-rwkv-world")


@pytest.fixture(scope="module")
def sources(request: pytest.FixtureRequest) -> dict[str, str]:
    return published.templates(request.config.cache)


def header(template: str, architecture: str) -> Gguf:
    metadata = {"general.architecture": architecture, "tokenizer.chat_template": template}
    return Gguf(3, metadata)


def completed(header: Gguf | None) -> str | bool:
    options: dict[str, str | bool] = {}
    templates.complete(options, [header], bundled=False)
    return options["--prompt-template"]


@pytest.mark.timeout(900)
def test_published_templates_have_the_format_that_they_publish(sources: dict[str, str]) -> None:
    found = {
        model: completed(header(sources[model], architecture))
        for model, (architecture, _) in FORMATS.items()
    }
    assert found == {model: name for model, (_, name) in FORMATS.items()}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", UNNAMED)
def test_a_format_without_a_name_lists_the_names(sources: dict[str, str], model: str) -> None:
    with pytest.raises(LauncherError, match=r"of no format that has a name.*chatml.*gpt-oss"):
        completed(header(sources[model], "other"))


def test_every_signature_names_a_template() -> None:
    assert {name for _, _, name in templates.SIGNATURES} <= {*templates.NAMES}


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("llama3", "llama-3-chat"), ("ChatML", "chatml"), ("gpt_oss", "gpt-oss"), ("gemma", "gemma")],
)
def test_a_slip_in_a_name_is_told_what_is_meant(slip: str, meant: str) -> None:
    with pytest.raises(LauncherError, match=f"{slip!r} is not known; is it {meant}"):
        templates.check({"--prompt-template": slip})
