"""What a caller chooses of the way in which geodesics are found, and what follows from it."""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from egregium.errors import OptionError, ToleranceError
from egregium.geodesics.solvers import Automatic, Solver, Termination
from egregium.geodesics.support import SupportGraph
from egregium.numerics.rounding import least_tolerance
from egregium.protocols import ImmersedSpace, Space

ROUGH = 1e-4  # tolerances from here on are met roughly, at fewer segments
FINER = 4
AMPLE = 64
FINEST = 4096
FINEST_ROUGH = 512


def require_tolerance(rtol: float, dtype: torch.dtype) -> None:
    """Check that `rtol` is a number that computations in `dtype` can reach.

    Raises: `OptionError`; `ToleranceError` below 50 eps.
    """
    if not isinstance(rtol, (int, float)):
        raise OptionError(f"rtol must be a number such as 1e-3; got {rtol!r}.")
    smallest = least_tolerance(dtype)
    if not smallest <= rtol < 1:
        raise ToleranceError(
            f"rtol must lie in [{smallest:.1e}, 1) for {dtype}; got {rtol}. For less, convert decoder and points to float64."
        )


def require_space(space: object) -> None:
    """Check that it is a space, and not the decoder itself.

    Raises: `OptionError`.
    """
    if not hasattr(space, "prepare"):
        raise OptionError(
            f"geometry is measured in a space, such as eg.Pullback(decoder); got {type(space).__name__}: wrap it."
        )


def require_immersed(space: Space) -> ImmersedSpace:
    """The space, checked to be one with a decoder, or at least an immersion.

    Raises: `OptionError`.
    """
    if not hasattr(space, "immerse"):
        raise OptionError(
            f"this needs a space with a decoder, such as eg.Pullback, or one with closed forms; {space!r} has neither: "
            "measure the factors of a product by themselves."
        )
    return space  # type: ignore[return-value]


def require_on_fail(on_fail: str) -> None:
    """Check that it is "raise" or "mark".

    Raises: `OptionError`.
    """
    if on_fail not in ("raise", "mark"):
        raise OptionError(f'on_fail must be "raise" or "mark"; got {on_fail!r}.')


def require_steps(max_steps: int | None) -> None:
    """Check that it is 1 or more, or None.

    Raises: `OptionError`.
    """
    if max_steps is not None and max_steps < 1:
        raise OptionError(f"max_steps must be at least 1; got {max_steps}.")


@dataclass(frozen=True)
class Options:
    """The options of `connect`, checked; `max_steps` are those at each number of segments, `automatic` if neither was named."""

    solver: Solver
    rtol: float
    support: SupportGraph | None
    max_steps: int
    automatic: bool

    @staticmethod
    def checked(
        solver: Solver | None, rtol: float, support: SupportGraph | None, max_steps: int | None, dtype: torch.dtype
    ) -> "Options":
        """With defaults for None.

        Raises: `OptionError`; `ToleranceError` for an `rtol` out of reach of the points' `dtype`.
        """
        if solver is not None and not hasattr(solver, "minimise"):
            raise OptionError(f"solver must be an object of eg.solvers, such as eg.solvers.GaussNewton(); got {solver!r}.")
        require_tolerance(rtol, dtype)
        require_steps(max_steps)
        if support is not None and not isinstance(support, SupportGraph):
            raise OptionError(f"support must be a SupportGraph (see eg.neighbors); got {type(support).__name__}.")
        automatic = solver is None and max_steps is None
        solver = Automatic() if solver is None else solver
        segments = solver.segments
        if segments and (segments[0] < 2 or any(b != 2 * a for a, b in pairwise(segments))):
            raise OptionError(f"a solver's segments must start at 2 or more, each twice the one before; got {segments}.")
        return Options(solver, rtol, support, max_steps or solver.max_steps, automatic)

    @property
    def rough(self) -> bool:
        """Whether the tolerance is met roughly: at fewer segments, and with directions only as good as lengths need."""
        return self.rtol >= ROUGH

    @property
    def thorough(self) -> bool:
        """Whether folded decoders are searched from every start: what minima differ by then matters, and costs little."""
        return not self.rough

    @property
    def stricter(self) -> "Options":
        """For pairs that few segments proved too few for: rough estimates of error are less sure there."""
        return replace(self, rtol=max(0.5 * self.rtol, ROUGH)) if self.rough else self

    @property
    def finest(self) -> int:
        """Most segments that are worth their cost at this tolerance."""
        return FINEST_ROUGH if self.rough else FINEST

    def exploring(self, wide: bool) -> Termination:
        """Of coarse curves: lengths err by half the square of the metric step, and by more where the energy is soft.

        Where `wide` first-order methods pay dearly for every digit of the step, and coarse curves solved further than their
        segments are good for zigzag: half of `rtol` is left of the length, for finer ones to mend.
        """
        return Termination((1.0 if wide and self.rough else 0.2) * self.rtol**0.5, self.max_steps)

    def finishing(self, wide: bool) -> Termination:
        """Of refined curves: directions err by the step itself, magnified at the ends.

        Where `wide` and the tolerance rough no directions are promised: an eighth of `rtol` is left of the length.
        """
        tolerance = 0.5 * self.rtol**0.5 if wide and self.rough else self.rtol
        return Termination(min(tolerance, self.exploring(wide).tolerance), self.max_steps)

    def measuring(self, wide: bool) -> Termination:
        """Of curves whose length alone is asked for: as of coarse ones, but where `wide` and rough no finer ones mend them."""
        return self.finishing(wide) if wide and self.rough else self.exploring(wide)

    def plan(self, coarse: int) -> list[int]:
        """Numbers of segments from `coarse` to fine."""
        if self.solver.segments:
            return list(self.solver.segments)
        return [coarse << k for k in range((self.finest // coarse).bit_length())]

    def more(self, segments: int) -> int:
        """With how many segments to begin again."""
        return max(FINER * segments, AMPLE if self.thorough else 0)

    def may_continue(self, segments: int) -> bool:
        """Whether pairs that began with so many segments may begin again with more."""
        return not self.solver.segments and 2 * self.more(segments) <= self.finest
