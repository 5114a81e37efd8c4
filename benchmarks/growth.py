"""How the cost of geodesics grows with pairs P, segments T, latent dimensions d, outputs D and ensemble members S.

    python benchmarks/growth.py                                     the figures
    python benchmarks/growth.py --plot docs/images/growth.png       and their plot
    python benchmarks/growth.py --device cuda                       on a GPU, where small cases are all latency
    python benchmarks/growth.py --quick                             a smoke run

One number at a time is varied about P = 16, d = 8, D = 784, S = 1, with the default solver and tolerance, on perceptrons of
random weights; T is fixed by the solver's `segments`. Outputs are varied on convolutional decoders, since the last layer of a
perceptron is reduced exactly to its rank. One process, one thread, seconds of the processor, the least of the repetitions.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from decoders import SHAPES, structured
from measuring import Arithmetic, aligned, clock
from torch import Tensor, nn

from egregium.geodesics import connect
from egregium.geodesics.solvers import Automatic
from egregium.spaces import Pullback

NAMES = {"P": "pairs", "T": "segments", "d": "latent dimensions", "D": "outputs", "S": "decoders"}
BASE = {"P": 16, "d": 8, "D": 784, "S": 1}
VALUES = {
    "P": (8, 16, 32, 64, 128),
    "T": (16, 32, 64, 128, 256),
    "d": (2, 4, 8, 16, 32, 64),
    "D": tuple(SHAPES),
    "S": (1, 2, 4, 8),
}


@dataclass(frozen=True)
class Growth:
    """Seconds and decoder calls (all pairs together) at each value of one number."""

    name: str
    values: tuple[int, ...]
    seconds: tuple[float, ...]
    calls: tuple[float, ...]

    @staticmethod
    def exponent(values: Sequence[float], cost: Sequence[float]) -> float:
        """Slope of the cost in the value, both logarithmic, by least squares."""
        return float(np.polyfit(np.log(values), np.log(cost), 1)[0])

    @property
    def exponents(self) -> tuple[float, float]:
        """Of seconds and of calls."""
        return self.exponent(self.values, self.seconds), self.exponent(self.values, self.calls)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    found = []
    for name in options.numbers:
        values = VALUES[name][:2] if options.quick else VALUES[name]
        found.append(grown(name, values, options.device, options.repeats))
    print(table(found))
    if options.plot:
        plot(found, Path(options.plot))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", nargs="+", default=list(VALUES), choices=list(VALUES), help="which to vary (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions (default: 3)")
    parser.add_argument("--plot", help="file of the plot, a .png")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--quick", action="store_true", help="a smoke run: two values of P and d")
    options = parser.parse_args(arguments)
    if options.quick:
        options.numbers, options.repeats = ["P", "d"], 1
    return options


def grown(name: str, values: tuple[int, ...], device: str, repeats: int) -> Growth:
    """Measure one number's growth."""
    seconds, calls = [], []
    for value in values:
        solve, one = _case(name, value, device)
        with Arithmetic() as single, torch.no_grad():
            one()
        with Arithmetic() as whole:
            solve()
        calls.append(whole.total / single.total)
        seconds.append(min(_timed(solve, device) for _ in range(repeats)))
        print(f"{name} = {value}: {seconds[-1]:.2f} s, {calls[-1]:,.0f} calls", file=sys.stderr, flush=True)
    return Growth(name, values, tuple(seconds), tuple(calls))


def _case(name: str, value: int, device: str) -> tuple[Callable[[], object], Callable[[], Tensor]]:
    """Solving the case where the number `name` has a `value`, and one decoded point of it."""
    at = {**BASE, name: value}
    kind = "conv" if name == "D" else "mlp"
    subjects = [structured(kind, at["d"], at["D"], seed).to(device) for seed in range(at["S"])]
    z0, z1 = subjects[0].pairs(at["P"])
    decoders: list[nn.Module] = [subject.decoder for subject in subjects]
    space = Pullback(decoders if len(decoders) > 1 else decoders[0], dim=at["d"])
    solver = Automatic(segments=(value,)) if name == "T" else None
    return (lambda: connect(space, z0, z1, solver=solver, on_fail="mark")), (lambda: decoders[0](z0[:1]))


def _timed(solve: Callable[[], object], device: str) -> float:
    start = clock(torch.device(device))
    solve()
    return clock(torch.device(device)) - start


def table(found: Sequence[Growth]) -> str:
    """One line a number: costs at its values, and the exponents of their growth."""
    rows = [("number", "values", "seconds", "calls", "exponent of seconds", "of calls")]
    for one in found:
        values, seconds = ", ".join(map(str, one.values)), ", ".join(f"{s:.2f}" for s in one.seconds)
        calls = ", ".join(f"{c:,.0f}" for c in one.calls)
        by_seconds, by_calls = one.exponents
        rows.append((f"{one.name} ({NAMES[one.name]})", values, seconds, calls, f"{by_seconds:.2f}", f"{by_calls:.2f}"))
    return aligned(rows)


def plot(found: Sequence[Growth], file: Path) -> None:
    """Small multiples, logarithmic both ways: costs relative to the first value, beside growth in proportion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(found), 3.1), layout="constrained")
    for axes, one in zip(np.atleast_1d(figure.subplots(1, len(found))), found, strict=True):
        values = np.array(one.values, dtype=float)
        for power, shade, name in ((1, "0.6", "linear"), (2, "0.8", "quadratic")):
            axes.loglog(values, (values / values[0]) ** power, color=shade, lw=1, ls="--", label=name)
        for cost, mark, label in ((one.seconds, "o", "seconds"), (one.calls, "s", "decoder calls")):
            axes.loglog(values, np.array(cost) / cost[0], marker=mark, ms=4, lw=1.5, label=label)
        axes.set_title(f"{one.name}: exponent {one.exponents[0]:.2f} (calls {one.exponents[1]:.2f})", fontsize=9)
        axes.set_xlabel(NAMES[one.name])
        axes.set_xticks(values, [str(value) for value in one.values], fontsize=7)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    first = figure.axes[0]
    first.set_ylabel("cost, relative to the smallest")
    first.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
