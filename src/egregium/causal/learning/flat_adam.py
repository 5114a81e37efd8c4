"""Adam on all weights of a network as one vector: for small networks most of a step is the handling of many small tensors."""

import torch
from torch import Tensor, nn

CLIP = 10.0
BETAS = 0.9, 0.999
EPS = 1e-8


class FlatAdam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) with clipped gradients; parameters become views of one vector.

    Attributes:
        parameters: as given.
        state: the vector of all weights, its moments, and the number of steps.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        weights = torch.cat([one.detach().flatten() for one in parameters])
        for one, weight in zip(parameters, weights.split([one.numel() for one in parameters]), strict=True):
            one.data = weight.view_as(one)
        moments = {"mean": torch.zeros_like(weights), "square": torch.zeros_like(weights)}
        self.state = {"weights": weights, **moments, "steps": torch.zeros((), dtype=torch.int64)}

    @torch.no_grad()
    def step(self, loss: Tensor, lr: float) -> None:
        """Go down the gradient of a scalar."""
        slopes = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        gradient = torch.cat([one.flatten() for one in slopes])
        if (length := float(torch.linalg.vector_norm(gradient))) > CLIP:
            gradient.mul_(CLIP / length)
        self.state["steps"] += 1
        mean, square, steps = self.state["mean"], self.state["square"], int(self.state["steps"])
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        unbiased = (1 - BETAS[1] ** steps) ** 0.5
        self.state["weights"].addcdiv_(mean, square.sqrt().add_(EPS * unbiased), value=-lr * unbiased / (1 - BETAS[0] ** steps))

    def load(self, state: dict[str, Tensor]) -> None:
        """Take the state of another."""
        for name, one in self.state.items():
            one.copy_(state[name])
