"""Every error that egregium raises on purpose: a sentence that says what was given, what was expected and what to do."""


class EgregiumError(Exception):
    """Base of all errors of this library."""


class ShapeError(EgregiumError, ValueError):
    """A tensor has a shape that the call cannot use; nothing is ever broadcast to fit."""


class TensorError(EgregiumError, ValueError):
    """A tensor has a dtype, device or content (NaN, infinity, empty) that the call cannot use."""


class ToleranceError(EgregiumError, ValueError):
    """A tolerance is out of reach of the working precision."""


class OptionError(EgregiumError, ValueError):
    """An option has a value outside its documented range."""


class DecoderError(EgregiumError, ValueError):
    """A decoder is not a deterministic, batch-independent, differentiable map from (N, d) to one tensor (N, *out)."""


class ModelError(EgregiumError, ValueError):
    """A model, specification or checkpoint cannot be used."""


class DataError(EgregiumError, ValueError):
    """A data file or folder is missing, damaged, of the wrong format or unsafe to unpack."""


class StorageError(EgregiumError, OSError):
    """A file could not be written, read or verified."""


class RunError(EgregiumError, RuntimeError):
    """A run folder belongs to another configuration, code or data, is in use, or one of its tasks failed."""


class NotConvergedError(EgregiumError, RuntimeError):
    """A solver stopped short of the tolerance that was asked for; `result` holds what it reached."""

    def __init__(self, message: str, result: object) -> None:
        super().__init__(message)
        self.result = result


class MissingExtraError(EgregiumError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
