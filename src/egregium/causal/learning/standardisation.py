"""Observations as a network takes them: flat, centred, of one scale, on their principal components where these are many."""

import torch
from torch import Tensor, nn

ROWS = 20_000  # of which scale and principal components are computed
WIDE = 2000  # numbers of an observation from which on matrices of as many rows and columns would take hours


class Standardisation(nn.Module):
    """An affine map with orthonormal directions and one scale, so that distances keep their ratios.

    Args:
        shape: of an observation.
        components: numbers k that are kept.
    """

    centre: Tensor
    scale: Tensor
    basis: Tensor

    def __init__(self, shape: tuple[int, ...], components: int | None) -> None:
        super().__init__()
        self.shape = shape
        width = torch.Size(shape).numel()
        self.width = width if components is None else components
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("basis", torch.eye(width)[:, :components] if components is not None else torch.zeros(0, 0))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Learn centre, directions and scale of observations `(N, *shape)`."""
        flat = x.flatten(1)
        self.centre.copy_(flat.mean(0))
        if self.basis.numel():
            few = self._centred(flat[: ROWS if flat.shape[1] <= WIDE else max(WIDE, 2 * self.width)])
            self.basis.copy_(_principal_directions(few)[:, : self.width])
        self.scale.fill_(1.0)
        some = self.forward(x[:ROWS])
        largest = some.abs().max().clamp_min(torch.finfo(some.dtype).tiny)  # whose square may be 0 or infinite
        spread = largest * (some / largest).std(0).square().mean().sqrt()
        self.scale.copy_(spread if float(spread) > 0 else torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, *shape) -> (N, k)`."""
        centred = self._centred(x.flatten(1))
        return (centred @ self.basis if self.basis.numel() else centred) / self.scale

    def _centred(self, flat: Tensor) -> Tensor:
        """In the precision that observations have, which may lie far from zero; rounded afterwards."""
        return (flat.to(self.centre.device) - self.centre).to(self.centre)

    def inverse(self, u: Tensor) -> Tensor:
        """`(N, k) -> (N, *shape)`."""
        scaled = u * self.scale
        return (self.centre + (scaled @ self.basis.T if self.basis.numel() else scaled)).unflatten(1, self.shape)


def _principal_directions(centred: Tensor) -> Tensor:
    """Columns of `(D, min(N, D))`, those along which rows `(N, D)` vary the most first."""
    if len(centred) > centred.shape[1]:
        return torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(-1)
    return torch.linalg.svd(centred, full_matrices=False).Vh.T
