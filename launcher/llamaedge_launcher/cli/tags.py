"""``--tags``: what clients are told that the first model is for."""

from dataclasses import replace

import click

from .units import Unit

TAGS = click.option(
    "--tags",
    metavar="TAG[,TAG...]",
    help="What clients are told at /v1/models that the model is for",
)


def tagged(units: tuple[Unit, ...], given: str | None) -> tuple[Unit, ...]:
    """``units``, whose first model has the tags that were ``given``."""
    if given is None:
        return units
    tags = tuple(dict.fromkeys(tag.strip() for tag in given.split(",") if tag.strip()))
    first, *others = units
    model = replace(first.models[0], tags=tags)
    return (replace(first, models=(model, *first.models[1:])), *others)
