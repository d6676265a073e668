"""What llama.cpp's server tells of itself and its models: workers are asked for it."""

from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from ....settings import Settings
from ...describe import Described
from ...questions import Questions
from ...routing import routes_of
from . import adapters, props, rerank, slots
from .adapters import LoraAdapters
from .props import Props
from .rerank import Rerank
from .slots import Slots

DESCRIBED: Described = {
    **adapters.DESCRIBED,
    **props.DESCRIBED,
    **rerank.DESCRIBED,
    **slots.DESCRIBED,
}


def routes(models: Questions, settings: Settings) -> list[Route]:
    """Ask the workers of ``models``."""
    told = Props(
        models,
        slots=settings.slots,
        metrics=settings.metrics,
        page=settings.web_ui is not None,
    )
    listed = Slots(models, shown=settings.slots, folder=settings.slot_save_path)
    ranked = Rerank(models)
    lora = LoraAdapters(models)
    apps: dict[str, dict[str, ASGIApp]] = {
        adapters.PATH: {
            "GET": request_response(lora.list),
            "POST": request_response(lora.scale),
        },
        "/props": {"GET": request_response(told.get), "POST": request_response(told.change)},
        "/slots": {"GET": request_response(listed.list)},
        "/slots/{id}": {"POST": request_response(listed.act)},
        **{path: {"POST": request_response(ranked.answer)} for path in rerank.PATHS},
    }
    return routes_of(apps, DESCRIBED)
