"""What is taken of zuko, whose import switches off the validation of all torch distributions; here it is left as it was."""

from torch.distributions import Distribution

_validated = Distribution._validate_args

from zuko.flows.coupling import GeneralCouplingTransform  # noqa: E402
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform  # noqa: E402

Distribution.set_default_validate_args(_validated)

__all__ = ["GeneralCouplingTransform", "MonotonicAffineTransform", "MonotonicRQSTransform"]
