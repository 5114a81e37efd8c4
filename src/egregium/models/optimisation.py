"""Train one module: steps, learning rate, and stopping on observations held out of the training data."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egregium.errors import ModelError, TensorError
from egregium.models.checkpoint import History
from egregium.models.nets import Ensemble
from egregium.models.randomness import seeded
from egregium.models.vae import VAE, VAEModule, negative_elbo
from egregium.runs.task import Report

EVALUATION_ROWS = 512
CLIP = 1.0
WIDEST = 25  # standard deviations of the likelihood: beyond, gradients explode
HELD_OUT_SEED = 0  # what is held out does not depend on the training's seed: all trainings see the same data


def train(spec: VAE, x: Tensor, *, seed: int, report: Report | None = None) -> tuple[VAEModule, History]:
    """Train `spec` on observations `x (N, *shape)`; the weights of the epoch with the lowest held-out loss are returned.

    Runs on one thread, on the CPU, in float32; equal arguments give bit-identical weights, and neither the global random
    state nor any setting of torch is changed. `report` receives `{"done": epoch, "total": epochs, "loss": held-out loss}`.

    Returns:
        The module in evaluation mode, and the history: lists "train" and "held_out" (nats per observation, one number per
        epoch) and "best_epoch" (one number, from 1).

    Raises:
        TensorError: `x` is not a finite tensor of enough observations, or not in [0, 1] for the Bernoulli likelihood.
        ModelError: `spec` cannot model such observations, or the loss or its gradient became NaN or infinite.
    """
    x = checked(spec, x)
    module = spec.build(tuple(x.shape[1:]), seed)
    with one_thread(), torch.enable_grad():
        ensemble = module.ensemble()
        training = _Training(spec, module, ensemble, seed, *divide(spec, x))
        with seeded(_second_stream(seed)):  # weights take the first stream of the seed, batches and noise the second
            history = training.run(report)
        ensemble.write_back()
    return module.eval().requires_grad_(False), history


def checked(spec: VAE, x: Tensor) -> Tensor:
    """`x` as float32 on the CPU, after the checks that `train` promises; nothing is built or trained."""
    if not isinstance(x, Tensor) or x.ndim < 2 or x.is_complex():
        given = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise TensorError(f"training expects a real tensor of observations (N, *shape); got {given}.")
    least = 2 * (spec.decoders if spec.split_batches else 1)
    held_out = max(1, round(spec.held_out * len(x)))
    if len(x) - held_out < least or x[0].numel() == 0:
        raise TensorError(
            f"training got {len(x)} observations of shape {tuple(x.shape[1:])}, of which {held_out} are held out for stopping; "
            f"expected at least {least} to learn from: give more data or fewer decoders (--decoders)."
        )
    spec.check_shape(x.shape[1:])
    x = x.detach().to("cpu", torch.float32)
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x.flatten(1)).all(1)).sum())
        raise TensorError(
            f"{bad} of {len(x)} training observations hold NaN or infinity (in float32); remove or fill them first."
        )
    if spec.likelihood == "bernoulli" and (x.min() < 0 or x.max() > 1):
        raise TensorError(
            f"a Bernoulli likelihood needs data in [0, 1]; got values from {float(x.min()):.3g} to {float(x.max()):.3g}: "
            'rescale them or use the other one (--likelihood gaussian, likelihood="gaussian").'
        )
    if spec.likelihood == "gaussian" and (spread := float(x.std(0).square().mean().sqrt())) > WIDEST * spec.sigma:
        raise TensorError(
            f"the observations spread by {spread:.3g} (root mean square), {spread / spec.sigma:.0f} times the likelihood's "
            f"sigma of {spec.sigma}, which no training would survive: standardize the data (--standardize, or "
            "eg.data.load(..., standardize=True)), bring them to a range near [0, 1], or raise sigma."
        )
    return x


def divide(spec: VAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Observations to learn from, and those held out for stopping; the same division for every seed."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(HELD_OUT_SEED))
    held_out = max(1, round(spec.held_out * len(x)))
    return x[order[held_out:]], x[order[:held_out]]


@dataclass
class _Training:
    spec: VAE
    module: VAEModule
    ensemble: Ensemble
    seed: int
    x: Tensor
    held_out: Tensor

    def __post_init__(self) -> None:
        spec, n = self.spec, len(self.x)
        self.parameters = self.module.trained(self.ensemble)
        self.steps = math.ceil(n / spec.batch_size)
        self.batch = n // self.steps
        if spec.split_batches:
            self.batch -= self.batch % spec.decoders
        self.optimizer = _optimizer(spec, self.parameters)

    def run(self, report: Report | None) -> History:
        spec = self.spec
        history: History = {"train": [], "held_out": []}
        best, best_epoch, best_weights = math.inf, 0, []
        for epoch in range(1, spec.epochs + 1):
            history["train"].append(self._epoch(epoch))
            loss = self._held_out_loss(epoch)
            history["held_out"].append(loss)
            if epoch <= spec.beta_warmup:  # the objective is another one still
                best_epoch = epoch
            elif loss < best:
                best, best_epoch = loss, epoch
                best_weights = [parameter.detach().clone() for parameter in self.parameters]
            if report is not None:
                report({"done": epoch, "total": spec.epochs, "loss": loss})
            if epoch - best_epoch >= spec.patience:
                break
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, best_weights, strict=True):
                parameter.copy_(weight)
        return history | {"best_epoch": [float(best_epoch)]}

    def _epoch(self, epoch: int) -> float:
        """One pass in batches of equal size; returns the mean loss. The few observations left over differ each time."""
        order = torch.randperm(len(self.x))
        total, beta = 0.0, self.spec.beta * min(1.0, epoch / (self.spec.beta_warmup + 1))
        for k, rows in enumerate(order[: self.steps * self.batch].split(self.batch)):
            step = (epoch - 1) * self.steps + k
            for group in self.optimizer.param_groups:
                group["lr"] = self.spec.lr * schedule(step, self.spec.epochs * self.steps, self.spec.warmup)
            loss = self._loss(self.x[rows], split=self.spec.split_batches, beta=beta)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
            total += self._finite(float(loss.detach()), float(norm), epoch)
            self.optimizer.step()
        return total / self.steps

    @torch.no_grad()
    def _held_out_loss(self, epoch: int) -> float:
        """The objective on all that is held out, split among the decoders as in training, with the same noise each time."""
        rows, split = len(self.held_out), self.spec.split_batches and len(self.held_out) >= self.spec.decoders
        piece = EVALUATION_ROWS
        if split:
            rows, piece = rows - rows % self.spec.decoders, max(piece, self.spec.decoders)
            piece -= piece % self.spec.decoders
        total = 0.0
        with seeded(HELD_OUT_SEED):
            for x in self.held_out[:rows].split(piece):
                total += len(x) * float(self._loss(x, split=split))
        return self._finite(total / rows, 0.0, epoch)

    def _loss(self, x: Tensor, *, split: bool, beta: float | None = None) -> Tensor:
        return negative_elbo(self.spec, self.module, self.ensemble, x, split=split, beta=beta)

    def _finite(self, loss: float, norm: float, epoch: int) -> float:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"loss became {loss}" if not math.isfinite(loss) else f"gradient's norm became {norm}"
            raise ModelError(
                f"training with seed {self.seed} failed in epoch {epoch}: the {what}. "
                f"Bring the data to a range near [0, 1], raise sigma (now {self.spec.sigma}) or lower lr (now {self.spec.lr})."
            )
        return loss


def schedule(step: int, total: int, warmup: int) -> float:
    """Share of the highest learning rate at `step` of `total`: a linear warm-up, then a cosine down to zero.

    >>> [round(schedule(step, 100, 10), 3) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = min(warmup, total // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def _optimizer(spec: VAE, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if spec.optimizer == "adamax":
        return torch.optim.Adamax(parameters, lr=spec.lr)
    return torch.optim.Adam(parameters, lr=spec.lr, fused=True)


def _second_stream(seed: int) -> int:
    return int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(seed)))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, so that sums are added in one order; nets of this size gain nothing from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
