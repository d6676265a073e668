"""The models of this machine, served as the command line says of models in general."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from .. import demo, machine
from ..fleet.recipe import Model, Recipe, version
from ..models import fit
from ..models.reference import HubModel, WebModel, called, parse_name

Serve = Callable[[Model], Recipe]
"""The recipe for a model alone. Raises LauncherError if it cannot be served."""


class LocalModels:
    """Finds them in the caches of downloads, and the demo model; ``serve`` says how they run.

    A path is no name of a model here: who may ask for models may not read any file.
    """

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    def may_have(self, name: str) -> bool:
        """Whether ``name`` is of such a form that a model here may be called so; at once."""
        return called(name) == demo.NAME or parse_name(name) is not None

    def find(self, name: str) -> Recipe | None:
        """What serves the model of this machine that is called ``name``, if there is one.

        Raises LauncherError if it cannot be served.
        """
        if called(name) == demo.NAME:
            path = demo.find()
            return self._serve(_model(demo.NAME, path)) if path else None
        reference = parse_name(name)
        if reference is None:
            return None
        found = _stored(reference)
        return self._serve(found) if found else None

    def refreshed(self, recipe: Recipe) -> Recipe:
        """``recipe`` with its models' files as they are now. Raises LauncherError."""
        models = tuple(_refreshed(each) for each in recipe.models)
        if models == recipe.models:
            return recipe
        worker = recipe.worker
        for old, new in zip(recipe.models, models, strict=True):
            preloads = tuple(
                f"{each.removesuffix(str(old.path))}{new.path}"
                if each.endswith(f":{old.path}")
                else each
                for each in worker.preloads
            )
            args = tuple(
                f"--llava-mmproj={new.projector}"
                if old.projector and new.projector and each == f"--llava-mmproj={old.projector}"
                else each
                for each in worker.args
            )
            worker = replace(worker, preloads=preloads, args=args)
        return replace(recipe, models=models, worker=worker)

    def models(self) -> Sequence[Model]:
        """All that are here whole."""
        from ..models import store

        found = [_model(each.name, each.path, each.projector) for each in store.stored()]
        path = demo.find()
        return [*found, *([_model(demo.NAME, path)] if path else [])]

    def needed(self, recipe: Recipe) -> int:
        """Bytes of memory that ``recipe`` is going to take."""
        files = {model.path for model in recipe.models}
        files |= {model.projector for model in recipe.models if model.projector}
        return fit.needed_for(files)

    def free(self) -> int:
        """Bytes of memory that models may take now."""
        return fit.free(machine.look())


def _model(name: str, path: Path, projector: Path | None = None) -> Model:
    return Model(name.replace(",", "-"), name, "chat", path, projector, version(path))


def _stored(reference: HubModel | WebModel) -> Model | None:
    from ..models import store

    found = store.find(reference)
    return _model(found.name, found.path, found.projector) if found else None


def _refreshed(model: Model) -> Model:
    """``model`` as it is here now: another file of the same name, where one has come."""
    reference = parse_name(model.name)
    found = _stored(reference) if reference is not None else None
    if found is None:
        return replace(model, version=version(model.path))
    return replace(model, path=found.path, projector=found.projector, version=found.version)
