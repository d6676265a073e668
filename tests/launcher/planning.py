"""What plan a command line leads to."""

from collections.abc import Callable

import pytest

from llamaedge_launcher.cli.plan import Plan, make_plan
from llamaedge_launcher.errors import LauncherError

Planned = Callable[[str], Plan]


def stopping_at_plans(patch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that are made from now on; the error ``planned`` keeps them from being run."""
    plans: list[Plan] = []

    def keep(*args: object, **values: object) -> Plan:
        plans.append(make_plan(*args, **values))  # type: ignore[arg-type]
        raise LauncherError("planned")

    patch.setattr("llamaedge_launcher.cli.run.make_plan", keep)
    return plans
