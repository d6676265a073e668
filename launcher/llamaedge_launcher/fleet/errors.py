"""Why a model cannot be had."""


class ModelRefused(Exception):
    """A model cannot be had, or not be changed so, for the reason that this says."""


class UnknownModel(ModelRefused):
    """No model has the name that was asked for."""


class InUse(ModelRefused):
    """The model's state forbids what was asked for."""


class NotManaged(ModelRefused):
    """Requests may not load, fetch or remove models here."""


class DoesNotFit(ModelRefused):
    """The model takes more memory than is free."""


class LoadFailed(ModelRefused):
    """The model cannot be served."""
