"""What some templates expect to be told beside the conversation, as llama.cpp's server tells it."""

import json
import re
import time
from collections.abc import Mapping
from typing import Any

_TIMES = {
    "date_string": ("%d %b %Y", time.localtime),  # Llama 3
    "datetime": ("%b %d %Y %H:%M:%S GMT", time.gmtime),  # Firefunction
}
_FUNCTIONS_AS_TEXT = re.compile(r"\+\s*functions\b")


def implied(source: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the template ``source`` names and ``values`` do not have."""
    found: dict[str, Any] = {
        name: time.strftime(layout, clock())
        for name, (layout, clock) in _TIMES.items()
        if name in source and name not in values
    }
    if "functions" not in values and _FUNCTIONS_AS_TEXT.search(source):
        tools = values.get("tools")
        found["functions"] = json.dumps(tools, indent=2) if tools else ""
    return found
