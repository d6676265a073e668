"""What a repository's files are, and which of them suits a machine."""

import pytest

from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.machine import Device, Machine
from llamaedge_launcher.models.fit import best
from llamaedge_launcher.models.reference import HubModel
from llamaedge_launcher.models.variants import File, choose, label, projector, variants

GB = 10**9
REPO = HubModel("acme/tiny-GGUF")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("smollm2-135m-instruct-q8_0.gguf", "Q8_0"),
        ("Meta-Llama-3-8B.IQ4_XS.gguf", "IQ4_XS"),
        ("Qwen3-8B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("UD-IQ1_M/DeepSeek-R1-UD-IQ1_M-00001-of-00004.gguf", "UD-IQ1_M"),
        ("BF16/model-00001-of-00002.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("gpt-oss-20b-F16.gguf", "F16"),
        ("phi-2.fp16.gguf", "F16"),
        ("bitnet-TQ2_0.gguf", "TQ2_0"),
        ("model-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("Q4-themed-model.Q5_K_S.gguf", "Q5_K_S"),
        ("model.gguf", ""),
        ("Q3DModel.gguf", ""),
    ],
)
def test_a_name_tells_the_quantization(name: str, expected: str) -> None:
    assert label(name) == expected


def sized(**sizes: float) -> list[File]:
    """Files of a model, by quantization, of so many GB."""
    return [File(f"tiny-{each}.gguf", int(size * GB)) for each, size in sizes.items()]


def test_models_are_told_from_what_lies_beside_them() -> None:
    files = [
        *sized(Q4_K_M=4, Q8_0=8),
        File("imatrix.gguf", 1),
        File("mmproj-F32.gguf", 4),
        File("mmproj-BF16.gguf", 2),
        File("README.md", 1),
        File("big/big-F16-00001-of-00002.gguf", 9 * GB),
        File("big/big-F16-00002-of-00002.gguf", 9 * GB),
        File("lost-Q2_K-00001-of-00002.gguf", GB),
    ]
    found = {each.label: each for each in variants(files)}
    assert list(found) == ["F16", "Q8_0", "Q4_K_M", "Q2_K"]
    assert (found["F16"].size, len(found["F16"].files)) == (18 * GB, 2)
    assert [each.whole for each in found.values()] == [True, True, True, False]
    eye = projector(files)
    assert eye and eye.name == "mmproj-BF16.gguf"
    assert projector(sized(Q8_0=8)) is None


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("Q4_K_M", "tiny-Q4_K_M.gguf"),
        ("q4_k_m", "tiny-Q4_K_M.gguf"),
        ("Q4_K_XL", "tiny-UD-Q4_K_XL.gguf"),
        ("UD-Q4_K_M", "tiny-UD-Q4_K_M.gguf"),
        ("sub/other-Q8_0.gguf", "sub/other-Q8_0.gguf"),
        ("other-Q8_0.gguf", "sub/other-Q8_0.gguf"),
        ("big-F16-00002-of-00002.gguf", "big-F16-00001-of-00002.gguf"),
    ],
)
def test_a_choice_names_one_model(choice: str, name: str) -> None:
    files = [
        *sized(**{"Q4_K_M": 4, "UD-Q4_K_M": 4, "UD-Q4_K_XL": 4, "Q8_0": 8}),
        File("sub/other-Q8_0.gguf", 8 * GB),
        File("big-F16-00001-of-00002.gguf", 9 * GB),
        File("big-F16-00002-of-00002.gguf", 9 * GB),
    ]
    [found] = choose(HubModel("acme/tiny", choice), variants(files))
    assert found.name == name


def test_a_choice_that_names_two_models_is_refused() -> None:
    files = [File("a-Q4_0.gguf", 1), File("b-Q4_0.gguf", 1)]
    with pytest.raises(LauncherError, match=r"one of 2 models; name .*:a-Q4_0.gguf or .*:b-Q4_0"):
        choose(HubModel("acme/two", "Q4_0"), variants(files))


def machine(memory: float, gpu: float = 0) -> Machine:
    devices = (Device("CUDA0", "RTX 9000", "GPU", 0, int(gpu * GB)),) if gpu else ()
    return Machine("", devices, 8, int(memory * GB), int(memory * GB))


EIGHT = {"Q2_K": 3.2, "Q3_K_M": 4.0, "Q4_0": 4.7, "Q4_K_S": 4.7, "Q4_K_M": 4.9, "Q5_K_M": 5.7}
EIGHT |= {"Q6_K": 6.6, "Q8_0": 8.5, "F16": 16.1}
SMALL = {"Q4_K_M": 0.4, "Q8_0": 0.6, "F16": 1.1}


@pytest.mark.parametrize(
    ("sizes", "where", "expected"),
    [
        (EIGHT, machine(64), "Q4_K_M"),
        (EIGHT, machine(7), "Q3_K_M"),
        (EIGHT, machine(5.1), "Q2_K"),
        (EIGHT, machine(64, 80), "Q8_0"),
        (EIGHT, machine(64, 8), "Q5_K_M"),
        (EIGHT, machine(64, 6), "Q4_K_S"),
        (SMALL, machine(16), "Q8_0"),
        (SMALL, machine(1.3), "Q4_K_M"),
        ({"Q8_0": 8.5, "F16": 16.1}, machine(64), "Q8_0"),
        ({"F16": 16.1}, machine(64), "F16"),
        ({"MXFP4": 12, "F16": 14}, machine(64), "MXFP4"),
        ({"UD-Q4_K_XL": 5.1, "Q4_K_M": 4.9}, machine(64), "Q4_K_M"),
        ({"UD-Q4_K_XL": 5.1, "IQ4_XS": 4.4}, machine(64), "UD-Q4_K_XL"),
    ],
)
def test_the_best_for_a_machine(sizes: dict[str, float], where: Machine, expected: str) -> None:
    found, reason = best(REPO, variants(sized(**sizes)), where)
    assert found.label == expected
    assert reason.startswith(f"{expected} (")


def test_the_reason_names_the_machine() -> None:
    _, reason = best(REPO, variants(sized(**EIGHT)), machine(64, 24))
    assert reason == "Q8_0 (8.5 GB): the best of 9 for RTX 9000 with 24.0 GB"
    _, reason = best(REPO, variants(sized(**EIGHT)), machine(64))
    assert reason == "Q4_K_M (4.9 GB): the best of 9 for a CPU with 64.0 GB of memory"


def test_what_does_not_fit_is_refused_with_what_would_be_smallest() -> None:
    with pytest.raises(LauncherError) as raised:
        best(REPO, variants(sized(**EIGHT)), machine(2))
    assert str(raised.value) == (
        "no model of acme/tiny-GGUF fits a CPU with 2.0 GB of memory: the smallest, Q2_K (3.2 GB),"
        " takes 4.0 GB; name it to pull it nevertheless: acme/tiny-GGUF:Q2_K"
    )


def test_of_several_models_none_is_guessed() -> None:
    files = [File("a-Q4_K_M.gguf", 4 * GB), File("b-Q4_K_M.gguf", 4 * GB), *sized(Q8_0=8)]
    with pytest.raises(LauncherError, match=r"several models; name .*:a-Q4_K_M.gguf or"):
        best(REPO, variants(files), machine(64))
