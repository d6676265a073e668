"""Whether models can be fetched."""

import time
from collections.abc import Iterator

import httpx2
from huggingface_hub import constants, get_session, get_token
from huggingface_hub.utils import build_hf_headers

from ..models.hub import reason
from .finding import Finding, State

_SECONDS = 5.0


def findings() -> Iterator[Finding]:
    """One small request, unless HF_HUB_OFFLINE forbids it."""
    if constants.is_offline_mode():
        yield Finding("network", "HF_HUB_OFFLINE is set: only what is here serves")
        return
    yield _hub()


def _hub() -> Finding:
    begun = time.monotonic()
    hub = constants.ENDPOINT
    try:
        answer = get_session().get(
            f"{hub}/api/models",
            params={"limit": 1},
            headers=build_hf_headers(),
            timeout=_SECONDS,
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        cure = "models that are here still serve; behind a proxy, set HTTPS_PROXY"
        return Finding("network", f"{hub} cannot be reached: {reason(error)}", State.NOTE, cure)
    token = "no token" if get_token() is None else "with a token"
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        cure = "set HF_TOKEN to a token of yours, or log in with hf auth login"
        return Finding("network", f"{hub} does not take the token", State.NOTE, cure)
    if not answer.is_success or not answer.headers.get("content-type", "").startswith(
        "application/json"
    ):
        cure = "see what HF_ENDPOINT and the proxy settings say"
        text = f"{hub} answers {answer.status_code}, not as a Hugging Face hub does"
        return Finding("network", text, State.NOTE, cure)
    return Finding("network", f"{hub} answers in {time.monotonic() - begun:.1f} s, {token}")
