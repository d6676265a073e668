"""Why a model cannot be had."""


class UnknownModel(Exception):
    """No model has the name that was asked for."""
