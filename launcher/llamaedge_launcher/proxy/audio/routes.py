"""The paths of OpenAI's API of sound."""

from collections.abc import Mapping

from starlette.routing import Route
from starlette.types import ASGIApp

from ..describe import Described
from ..dialects.bridge import Bridge
from ..routing import routes_of
from . import speech, transcription
from .form import read_form
from .speech import Speech
from .transcription import SPOKEN, TRANSCRIPTIONS

DESCRIBED: Described = {**speech.DESCRIBED, **transcription.DESCRIBED}


def routes(endpoints: Mapping[str, ASGIApp], speech_guest: ASGIApp) -> list[Route]:
    """Recordings are chats, which ``endpoints`` answer; ``speech_guest`` reads texts out."""
    apps: dict[str, ASGIApp] = {
        path: Bridge(each, endpoints, read_form) for path, each in SPOKEN.items()
    }
    apps[TRANSCRIPTIONS.removeprefix("/v1")] = apps[TRANSCRIPTIONS]
    apps[speech.PATH] = Speech(speech_guest)
    return routes_of({path: {"POST": app} for path, app in apps.items()}, DESCRIBED)
