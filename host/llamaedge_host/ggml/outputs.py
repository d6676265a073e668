"""The outputs of a context beside its text, by their index, as far as they are told in JSON."""

import json
from collections.abc import Iterable

from .llama.vocabulary import Vocabulary
from .metadata.keys import ADDED

METADATA_INDEX = 1
PROMPT_INDEX = 2
"""The output that is the prompt as the chat template wrote it."""
PROBABILITIES_INDEX = 3
"""The single output that is the last token, with ``n-probs`` what it was chosen among, too."""
ABILITIES_INDEX = 4
"""The output that is what guests may ask for here and not in WasmEdge."""
TOKENS_INDEX = 5
"""The output that is the prompt's tokens."""
SPEECH_INDEX = 6
"""The output that is what was made by single steps as a WAV file, with ``tts``."""


def tokens_told(tokens: Iterable[int], vocabulary: Vocabulary) -> bytes:
    """The tokens, those of a picture left out, as JSON."""
    own = [token for token in tokens if token >= 0]
    told = [{"id": each, "bytes": list(vocabulary.piece(each))} for each in own]
    return json.dumps(told).encode()


def abilities(vocabulary: Vocabulary) -> bytes:
    """What guests may ask for here and not in WasmEdge, as JSON."""
    able: dict[str, object] = {
        "keys": ADDED,
        "prompt": True,
        "infill": vocabulary.infill is not None,
        "token": True,
        "speech": True,
        "ends": vocabulary.ends,
    }
    return json.dumps(able).encode()
