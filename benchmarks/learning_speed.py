"""Training steps a second of implicit latent causal models, on one thread, and where a step's time goes.

    python benchmarks/learning_speed.py            n = 2, 4, 8 and batches of 64 and 512
    python benchmarks/learning_speed.py --quick    a smoke run

Steps a second are those of whole trainings by `fit` with given targets, set-up included: 600 steps on 20,000 pairs of n numbers
from an orthogonal mixing, two hidden layers of 64. Finding the targets, once a training, is timed beside it. Seconds are of the
processor; best and middle of the repetitions. The profile is of n = 2, batch 64: shares of the processor's time that operators
themselves take, and how often they are called in a step.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import torch
from causal_learning import named
from measuring import aligned
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from egregium.causal import ILCM, SCM, LatentCausalModel, Orthogonal, fit
from egregium.causal.learning.by_direction import targets_by_direction

PAIRS = 20_000
SHOWN = 15


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8], help="variables (default: 2 4 8)")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 512], help="pairs a step (default: 64 512)")
    parser.add_argument("--steps", type=int, default=600, help="of each training (default: 600)")
    parser.add_argument("--repeats", type=int, default=5, help="trainings of each kind (default: 5)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: n = 2, 5 steps, once")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.batches, options.steps, options.repeats = [2], [64], 5, 1
    torch.set_num_threads(1)
    print(speeds(options.sizes, options.batches, options.steps, options.repeats), end="\n\n")
    print(shares(options.steps))


def pairs(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Observations before and after, and targets, of a chain."""
    generator = torch.Generator().manual_seed(0)
    scm = SCM.linear(torch.diag(torch.ones(n - 1, dtype=torch.float64), 1))
    drawn = LatentCausalModel(scm, Orthogonal.random(n, generator=generator)).sample(PAIRS, generator=generator)
    return drawn.x.float(), drawn.x_after.float(), named(drawn.targets)


def speeds(sizes: Sequence[int], batches: Sequence[int], steps: int, repeats: int) -> str:
    """A line for each number of variables and batch size."""
    rows: list[Sequence[str]] = [("n", "batch", "steps/s, best", "middle", "finding targets, s")]
    for n in sizes:
        x, x_after, targets = pairs(n)
        start = time.process_time()
        targets_by_direction(x, x_after, n, torch.Generator().manual_seed(0))
        finding = time.process_time() - start
        for batch in batches:
            method, seconds = ILCM(n, steps=steps, batch_size=batch), []
            for _ in range(repeats):
                start = time.process_time()
                fit(method, x, x_after, targets=targets, progress=False)
                seconds.append(time.process_time() - start)
            rows.append(
                (
                    str(n),
                    str(batch),
                    f"{steps / min(seconds):.0f}",
                    f"{steps / statistics.median(seconds):.0f}",
                    f"{finding:.1f}",
                )
            )
    return aligned(rows)


def shares(steps: int) -> str:
    """Of operators in a training, n = 2 and batches of 64."""
    x, x_after, targets = pairs(2)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        fit(ILCM(2, steps=steps, batch_size=64), x, x_after, targets=targets, progress=False)
    events = [one for one in recorded.key_averages() if one.key.startswith("aten::")]
    total = sum(one.self_cpu_time_total for one in events)
    rows: list[Sequence[str]] = [("operator", "share", "calls a step")]
    for one in sorted(events, key=lambda one: -one.self_cpu_time_total)[:SHOWN]:
        rows.append((one.key, f"{one.self_cpu_time_total / total:.1%}", f"{one.count / steps:.1f}"))
    return aligned(rows)


if __name__ == "__main__":
    main()
