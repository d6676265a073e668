"""The model that drafts for a server's chat model: ``--draft-model``."""

from collections.abc import Sequence

from llamaedge_host import Preload
from llamaedge_host.nn.preload import Encoding, Target

from ..errors import LauncherError
from ..models.reference import parse
from .naming import Named, Options, resolved

DRAFT = "--draft-model"
_ALIAS = "draft"


def take(named: Sequence[Named], options: Options) -> tuple[tuple[Named, ...], Preload | None]:
    """The models of ``named`` that are to be served, and the one that drafts, if any.

    ``options`` get its name. It is one of ``named``, or what the option says is fetched, as the
    terminal shows. Raises LauncherError.
    """
    wanted = str(options.get(DRAFT, ""))
    if not wanted:
        return tuple(named), None
    found = [each.preload for each in named if each.preload.name == wanted]
    if not found:
        path = resolved(parse(wanted)).path
        found = [Preload(_ALIAS, Encoding.GGML, Target.AUTO, path)]
    served = tuple(each for each in named if each.preload.name != found[0].name)
    if not served:
        message = f"{DRAFT}: {wanted} is the only model; name one that it is to draft for"
        raise LauncherError(message, exit_code=2)
    options[DRAFT] = found[0].name
    return served, found[0]
