"""A lamp-and-lever scene: pictures of a structural causal model that is known, drawn by a smooth function."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from egregium.causal.dag import DAG
from egregium.causal.lever import Lever
from egregium.causal.mechanisms import Linear, LocationScale
from egregium.causal.scm import SCM
from egregium.causal.stage import COLOURS, Stage
from egregium.errors import OptionError, ShapeError, TensorError

SMALLEST = 16


@dataclass(frozen=True)
class LampMechanism:
    r"""A lamp shines when the lever comes near, and leans on up to two lamps before it, one of which dims it.

    .. math::
        z_i = 2 e^{-(z_0 - c)^2 / 2} - 0.8 + 0.3 \tanh z_0 + 0.7 \sum_j (\pm 1)_j \tanh z_j
              + e^{-0.5 + 0.3 \tanh(z_0 - c)} e_i

    Args:
        centre: c, the value of the lever that brings its ball to the lamp.
    """

    centre: float

    def location(self, parents: Tensor) -> Tensor:
        """`(N,)`, of the lever and the lamps before in the columns of `(N, parents)`."""
        lever, others = parents[:, 0], parents[:, 1:].tanh()
        signs = torch.tensor([-0.7, 0.7], dtype=parents.dtype, device=parents.device)[: others.shape[1]]
        return 2 * torch.exp(-((lever - self.centre) ** 2) / 2) - 0.8 + 0.3 * lever.tanh() + others @ signs

    def log_scale(self, parents: Tensor) -> Tensor:
        """`(N,)`, of the lever in the first column of `(N, parents)`."""
        return 0.3 * torch.tanh(parents[:, 0] - self.centre) - 0.5


@dataclass(frozen=True)
class Scene:
    r"""Pictures of a room in which a lever moves and lamps shine, of n = 1 + lamps causal variables.

    .. math:: x = \tanh\Big(\ell_0(z_0) + \sum_{i \geq 1} \sigma(z_i) \, \ell_i(z_0)\Big)

    with the light :math:`\ell_i` that lamp i throws on wall, floor, ball and arm, less the lever's shadow in it. All of it is
    infinitely differentiable and defined for all real z; it is injective with a Jacobian of full rank where greys do not
    saturate, `|z| <= 4`, say. A decoder in the sense of this library: deterministic, row by row, in the dtype and on the
    device of z, and differentiable by `torch.func`.

    It stands in for CausalCircuit, a robot arm that touches lamps, and has the same graph at three lamps: the lever is a
    cause of all lamps, and each lamp from the third on is an effect of the two before it.

    Args:
        size: pixels of a side, at least 16.
        lamps: 1 to 5.

    Cost: one picture a row; some 5,000 a second at 64 x 64 on one slow core.

    Raises:
        OptionError: size or lamps out of range.

    References:
        Brehmer, de Haan, Lippe, Cohen 2022, arXiv 2203.16437.

    >>> scene = Scene()
    >>> scene.names, scene.graph.parents
    (('lever', 'blue', 'green', 'red'), ((), (0,), (0,), (0, 1, 2)))
    >>> scene(torch.zeros(2, 4)).shape
    torch.Size([2, 3, 64, 64])
    """

    size: int = 64
    lamps: int = 3
    _stage: Stage = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.size < SMALLEST or not 1 <= self.lamps <= len(COLOURS):
            raise OptionError(f"Scene expects size >= {SMALLEST} and 1 to {len(COLOURS)} lamps; got {self}.")
        # At once: tensors that are first made while torch.func transforms a call may not outlive it.
        object.__setattr__(self, "_stage", Stage.build(self.size, self.lamps))

    @property
    def n(self) -> int:
        """Number of causal variables."""
        return 1 + self.lamps

    @property
    def names(self) -> tuple[str, ...]:
        """What each variable is called: the lever, and the lamps by their colours from left to right."""
        return "lever", *list(COLOURS)[: self.lamps]

    @cached_property
    def graph(self) -> DAG:
        """Which variables are causes of which."""
        return DAG([(), *((0, *(range(i - 2, i) if i >= 3 else ())) for i in range(1, self.n))])

    @cached_property
    def scm(self) -> SCM:
        """How the variables come about: the lever is its noise, of N(0, 1) as all, and lamps follow `LampMechanism`."""
        centres = [1.2 * (2 * lamp + 1 - self.lamps) / max(1, self.lamps - 1) for lamp in range(self.lamps)]
        lamps = [LampMechanism(centre) for centre in centres]
        return SCM(self.graph, [Linear(), *(LocationScale(one.location, one.log_scale) for one in lamps)], names=self.names)

    def __call__(self, z: Tensor) -> Tensor:
        """Pictures `(N, 3, size, size)` in [0, 1] of causal variables `(N, n)`.

        Raises: `ShapeError`, `TensorError`.
        """
        if z.ndim != 2 or z.shape[1] != self.n:
            raise ShapeError(f"a scene with {self.lamps} lamps expects variables (N, {self.n}); got {tuple(z.shape)}.")
        if not z.is_floating_point():
            raise TensorError(f"a scene expects variables of a floating dtype; got {z.dtype}.")
        still, lever, brightness = self._stage.to(z), Lever.at(z[:, 0]), torch.sigmoid(z[:, 1:])
        above = self.size - len(still.y)
        light = [_far(still, brightness, above), _near(still, lever, brightness, above)]
        return torch.tanh(torch.cat(light, 2))


def _far(still: Stage, brightness: Tensor, above: int) -> Tensor:
    """Light `(N, 3, above, size)` of the rows that neither lever nor shadow reaches."""
    dark, lit = still.dark[:, :above], still.lit[:, :, :above]
    return torch.addmm(dark.flatten(), brightness, lit.flatten(1)).unflatten(1, dark.shape)


def _near(still: Stage, lever: Lever, brightness: Tensor, above: int) -> Tensor:
    """Light `(N, 3, reach, size)` of the other rows."""
    reaching = brightness[:, :, None, None] * lever.transmittance(still)  # (N, lamps, reach, size)
    room = still.dark[:, above:]
    for lamp, lit in enumerate(still.lit[:, :, above:]):
        room = torch.addcmul(room, reaching[:, lamp, None], lit)
    return lever.before(room, still, brightness)
