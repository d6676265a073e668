"""The paths of OpenAI's API of sound."""

from collections.abc import Mapping

from starlette.types import ASGIApp

from ..describe import Described
from ..dialects.bridge import Bridge
from . import speech, transcription
from .form import read_form
from .speech import Speech
from .transcription import SPOKEN, TRANSCRIPTIONS

DESCRIBED: Described = {**speech.DESCRIBED, **transcription.DESCRIBED}


def audio_routes(asked: Mapping[str, ASGIApp], guest: ASGIApp) -> dict[str, Mapping[str, ASGIApp]]:
    """The applications, by path and method.

    Recordings are chats, which ``asked`` answers by its path; ``guest`` reads texts out.
    """
    apps: dict[str, ASGIApp] = {
        path: Bridge(each, asked, read_form) for path, each in SPOKEN.items()
    }
    apps[TRANSCRIPTIONS.removeprefix("/v1")] = apps[TRANSCRIPTIONS]
    apps[speech.PATH] = Speech(guest)
    return {path: {"POST": app} for path, app in apps.items()}
