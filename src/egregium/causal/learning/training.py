"""Train a method on pairs: deterministic, watched, stopped at any moment and taken up again."""

import hashlib
import json
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from egregium.causal.checks import require_targets
from egregium.causal.learning.by_direction import OPEN, STEPS, targets_by_direction
from egregium.causal.learning.files import FILE_NAME, load_learned, save_learned
from egregium.causal.learning.flat_adam import FlatAdam
from egregium.causal.learning.interrupts import Interrupts
from egregium.causal.learning.learned import Learned
from egregium.causal.learning.method import Method
from egregium.causal.learning.pairs import require_observations, standardised
from egregium.causal.learning.schedule import Targeted
from egregium.errors import ModelError, OptionError, RunError, ShapeError
from egregium.models.optimisation import one_thread, schedule
from egregium.runs.files import make_folder, read_tensors, write_tensors

STATE_NAME = "state.safetensors"
SAVED_EVERY = 30.0  # seconds
WARMUP = 100
POINTS = 100  # of the history


def fit(
    method: Method,
    x: Tensor,
    x_after: Tensor,
    *,
    targets: Tensor | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
) -> Learned:
    """Train a method on pairs of observations before and after unknown interventions.

    Equal arguments give bit-identical weights, on one thread, in float32; whether the training was interrupted in between
    makes no difference. No global state is changed.

    Args:
        method: `ILCM`, or one of those that it is compared with.
        x, x_after: `(N, *shape)`, real, finite; whatever does not vary is no harm.
        targets: `(N,)`, 0 for none and i + 1 for variable i, where they are known: `IVAE` needs them, `ILCM` and its kin then
            need not find them, and take -1 where one is open; the others have no use for them.
        seed: of weights, batches and noise; a whole number.
        out: a folder in which the training is kept, every 30 seconds and when it is stopped; the same call goes on where it
            was, and reads a training that is finished.
        progress: show a bar with the objective and the time left on stderr.

    Raises:
        ShapeError: pairs of unequal shape or number.
        TensorError: NaN or infinity, too few pairs, targets out of range.
        OptionError: targets that are missing or not needed, more latent variables than numbers in an observation.
        RunError: `out` holds another training.
        ModelError: the objective became NaN or infinite.

    >>> pairs = torch.randn(2, 64, 3, generator=torch.Generator().manual_seed(0))
    >>> from egregium.causal.learning import ILCM
    >>> fit(ILCM(2, steps=2, batch_size=8), *pairs, progress=False).encode(pairs[0]).shape
    torch.Size([64, 2])
    """
    _require_pairs(method, x, x_after, targets, seed)
    address = _address(method, x, x_after, targets, seed)
    folder = None if out is None else make_folder(out)
    if folder is not None and (folder / FILE_NAME).is_file():
        return _finished(folder, address)
    with one_thread(), torch.enable_grad():
        known = None if targets is None else targets.to("cpu", torch.long)
        training = _Training(method, x, x_after, known, seed, folder, address)
        training.run(_Bar(method.name, method.steps, shown=progress))
        found = training.learned()
    if folder is not None:
        save_learned(folder / FILE_NAME, found, address)
        (folder / STATE_NAME).unlink(missing_ok=True)
    return found


@dataclass
class _Training:
    method: Method
    x: Tensor
    x_after: Tensor
    targets: Tensor | None
    seed: int
    folder: Path | None
    address: str
    step: int = 0
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.front, self.pairs = standardised(self.x, self.x_after, self.method.components)
        self.model = self.method.build(self.front.width, self.generator)
        self.optimizer = FlatAdam([one for one in self.model.parameters() if one.requires_grad])
        if self.folder is not None and (self.folder / STATE_NAME).is_file():
            self._resume(self.folder / STATE_NAME)

    def run(self, bar: "_Bar") -> None:
        saved, steps = time.monotonic(), self.method.steps
        with bar:
            self._begin()
            with Interrupts() as interrupts:
                while self.step < steps:
                    loss = self._advance()
                    if self.step % max(1, steps // POINTS) == 0 or self.step == steps:
                        self.history.append(self._finite(float(loss)))
                        bar.show(self.step, self.history[-1])
                    if interrupts.wanted or time.monotonic() - saved > SAVED_EVERY:
                        self._save()
                        saved = time.monotonic()
                    if interrupts.wanted:
                        raise KeyboardInterrupt

    def _begin(self) -> None:
        """Targets, where a method has use for them and they are not known; in seconds, so that nothing of it is kept."""
        x, y = self.pairs.chunk(2, -1)
        if self.targets is None and isinstance(self.method, Targeted):
            generator, steps = torch.Generator().manual_seed(self.seed), min(STEPS, self.method.steps)
            self.targets = targets_by_direction(x, y, self.method.n, generator, steps)
        if self.targets is not None and not self.step:
            self.model.start(x, y, self.targets)

    def learned(self) -> Learned:
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        return Learned(self.method, self.model.eval(), self.front, self.seed, tuple(self.history))

    def _advance(self) -> Tensor:
        rows = torch.randint(len(self.pairs), (self.method.batch_size,), generator=self.generator)
        x, y = self.pairs.index_select(0, rows).chunk(2, -1)
        targets = None if self.targets is None else self.targets[rows]
        loss = self.model.objective(x, y, targets, self.step / self.method.steps, self.generator)
        self.optimizer.step(loss, self.method.lr * schedule(self.step, self.method.steps, WARMUP))
        self.step += 1
        return loss.detach()

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise ModelError(
                f"training {self.method.name} with seed {self.seed} failed by step {self.step}: the objective became {loss}. "
                f"Lower lr (now {self.method.lr}) or look for outliers in the observations."
            )
        return loss

    def _save(self) -> None:
        if self.folder is None:
            return
        tensors = {f"adam.{name}": one for name, one in self.optimizer.state.items()}
        tensors |= {f"buffer.{name}": one for name, one in self.model.named_buffers()}
        tensors |= {"generator": self.generator.get_state(), "history": torch.tensor(self.history, dtype=torch.float64)}
        write_tensors(self.folder / STATE_NAME, tensors, {"address": self.address, "step": str(self.step)})

    def _resume(self, file: Path) -> None:
        tensors, meta = read_tensors(file)
        if meta.get("address") != self.address:
            raise _another(file)
        self.step, self.history = int(meta["step"]), tensors["history"].tolist()
        self.generator.set_state(tensors["generator"])
        self.optimizer.load({name.removeprefix("adam."): one for name, one in tensors.items() if name.startswith("adam.")})
        for name, buffer in self.model.named_buffers():
            buffer.copy_(tensors[f"buffer.{name}"])


class _Bar:
    """The state of one training, on stderr: a bar on a terminal, a line at the end elsewhere."""

    def __init__(self, name: str, steps: int, *, shown: bool) -> None:
        self.console = Console(stderr=True)
        self.display = Progress(console=self.console, transient=True, disable=not (shown and self.console.is_terminal))
        self.name, self.task, self.shown = name, self.display.add_task(name, total=steps), shown
        self.began, self.last = time.monotonic(), ""

    def show(self, step: int, loss: float) -> None:
        self.last = f"{self.name}: step {step}, objective {loss:.4g}"
        self.display.update(self.task, completed=step, description=self.last)

    def __enter__(self) -> None:
        self.display.start()

    def __exit__(self, *_: object) -> None:
        self.display.stop()
        if self.shown and not self.console.is_terminal:
            print(f"{self.last}, {time.monotonic() - self.began:.1f} s", file=sys.stderr)


def _require_pairs(method: Method, x: Tensor, x_after: Tensor, targets: Tensor | None, seed: int) -> None:
    if not isinstance(method, Method):
        raise OptionError(f"fit expects a method, such as ILCM(4); got {method!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise OptionError(f"fit(seed=) is a whole number from 0 to 2^63 - 1; got {seed!r}.")
    require_observations(x, x_after, method.n, method.components)
    if targets is None and method.needs_targets:
        raise OptionError(f"{method.name} needs the targets of the pairs: fit(..., targets=).")
    if targets is not None and not method.uses_targets:
        raise OptionError(f"{method.name} has no use for targets: leave them out.")
    if targets is not None:
        left_open = isinstance(targets, Tensor) and isinstance(method, Targeted)
        require_targets(targets.where(targets != OPEN, 0) if left_open else targets, names=("targets",), n=method.n)
        if len(targets) != len(x):
            raise ShapeError(f"fit expects a target for each of {len(x)} pairs; got {len(targets)}.")


def _finished(folder: Path, address: str) -> Learned:
    found, known = load_learned(folder)
    if known != address:
        raise _another(folder / FILE_NAME)
    return found


def _another(file: Path) -> RunError:
    return RunError(
        f"{file} belongs to a training with another method, other data or another seed; name another folder (out=), or remove "
        "it."
    )


def _address(method: Method, x: Tensor, x_after: Tensor, targets: Tensor | None, seed: int) -> str:
    hashed = hashlib.sha256(json.dumps([method.to_json(), seed], sort_keys=True).encode())
    for one in (x, x_after, targets):
        if one is not None:
            hashed.update(f"{one.dtype}{tuple(one.shape)}".encode())
            hashed.update(one.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return hashed.hexdigest()
