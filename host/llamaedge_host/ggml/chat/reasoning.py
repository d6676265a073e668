"""How a model writes its reasoning, told from its chat template."""

TAGS = (
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<think:opensource>", "</think:opensource>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought", "<channel|>"),
)
"""The tags of models that do not write <think> and </think>."""
USUAL = ("<think>", "</think>")


def thoughts(source: str) -> tuple[str, str]:
    """The tags around reasoning that the template ``source`` knows, or the usual ones."""
    return next((tags for tags in TAGS if tags[0] in source and tags[1] in source), USUAL)
