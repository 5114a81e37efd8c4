"""Many latent dimensions and large outputs: this library against Adam on the same vertices.

    python benchmarks/large.py                    d = 64, D = 12288, convolutional, 10 pairs
    python benchmarks/large.py --grid             perceptrons and convolutional decoders, d in 2 .. 64, D in 784 .. 12288
    python benchmarks/large.py --device cuda      the same on a GPU
    python benchmarks/large.py --quick            a smoke run

Adam moves the vertices of as many segments as the library's curve of each pair ended with, from the straight line, and is
stopped by an oracle, as soon as every polygon is within 1e-3 of the library's for these segments: a stop that no user of
Adam has. The library runs as it does for users, starts, certificates and bounds included. The decoder of the first is
trained on CIFAR-10 images scaled to 64 x 64, those of the grid have random weights.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from decoders import SHAPES, Subject, cifar, structured
from measuring import Peak, Record, aligned, clock, lengths, run
from methods import ours, through
from torch import Tensor

from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.measure import polygon
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers.adam import Moments
from egregium.spaces import Pullback

GOOD = 1e-3
BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Descent:
    """What Adam did: seconds and most steps until it was good everywhere (or gave up), which pairs `(P,)` are good, lengths."""

    seconds: float
    steps: int
    good: Tensor
    length: Tensor


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    for subject in _subjects(options):
        ends = subject.pairs(options.pairs)
        d = ends[0].shape[-1]
        print(f"\n## {subject.label}, d = {d}, D = {subject.outputs}, {subject.weights:,} weights, float32, {options.device}")
        print(compared(subject, ends, options.lr, options.most))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10, help="pairs (default: 10)")
    parser.add_argument("--lr", type=float, nargs="+", default=[0.01], help="Adam's rates, each tried (default: 0.01)")
    parser.add_argument("--most", type=int, default=4096, help="steps of Adam at most (default: 4096)")
    parser.add_argument("--grid", action="store_true", help="decoders of random weights of both kinds and all sizes")
    parser.add_argument("--data-dir", help="folder that holds cifar10-jpeg.tar.gz")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    options = parser.parse_args(arguments)
    if options.quick:
        options.pairs, options.most = 2, 20
    return options


def _subjects(options: argparse.Namespace) -> list[Subject]:
    if options.quick:
        found = [structured("mlp", 32, 784)]
    elif options.grid:
        found = [structured(kind, d, outputs) for kind, outputs, d in product(("mlp", "conv"), SHAPES, (2, 8, 32, 64))]
    else:
        found = [cifar(64, 64, options.data_dir)]
    return [subject.to(options.device) for subject in found]


def compared(subject: Subject, ends: tuple[Tensor, Tensor], rates: Sequence[float], most: int) -> str:
    """The table of one decoder."""
    record, device = Record(ours("egregium")), ends[0].device
    with Peak(device) as peak:
        answer = run(record, subject.decoder, *ends)
    assert isinstance(answer.curves, Geodesic)
    segments = answer.curves.segments
    length = lengths(subject.decoder, answer, ends[0].dtype, device)
    rows = [("method", "s", "times", "MiB", "steps", "within 1e-3", "mean length", "remark")]
    shared = (f"{record.median:.2f}", "1.0", f"{peak.mebibytes:.0f}", "", "", f"{float(length.mean()):.6g}")
    rows.append((record.method.name, *shared, answer.remark))
    for rate in rates:
        with Peak(device) as peak:
            found = _joined([_adam(subject, ends, answer.curves, segments == few, rate, most) for few in segments.unique()])
        rows.append((
            f"Adam, lr {rate}", f"{found.seconds:.2f}", f"{found.seconds / record.median:.1f}", f"{peak.mebibytes:.0f}",
            str(found.steps), f"{100 * float(found.good.double().mean()):.0f} %", f"{float(found.length.mean()):.6g}",
            f"{', '.join(map(str, segments.unique().tolist()))} segments",
        ))  # fmt: skip
    return aligned(rows)


def _adam(subject: Subject, ends: tuple[Tensor, Tensor], known: Geodesic, rows: Tensor, rate: float, most: int) -> Descent:
    """Adam on the pairs `rows`, all of which have as many segments."""
    segments, pairs = int(known.segments[rows][0]), (ends[0][rows], ends[1][rows])
    t = torch.linspace(0, 1, segments + 1, device=ends[0].device)
    return adam(subject, pairs, segments, polygon(_images(subject, known(t)[rows])), rate, most)


def _joined(parts: Sequence[Descent]) -> Descent:
    """One after the other."""
    good, length = torch.cat([part.good for part in parts]), torch.cat([part.length for part in parts])
    return Descent(sum(part.seconds for part in parts), max(part.steps for part in parts), good, length)


def adam(subject: Subject, ends: tuple[Tensor, Tensor], segments: int, best: Tensor, rate: float, most: int) -> Descent:
    """Adam on the vertices until every polygon is at most GOOD longer than `best` `(P,)`."""
    space = Pullback(subject.decoder, dim=ends[0].shape[-1])
    start = clock(ends[0].device)
    with torch.no_grad():
        problem = Problem.between(space.economical(), *space.prepare(*ends))
        vertices = problem.straight(segments)
        moments, step, good = Moments.zero(vertices), 0, torch.zeros_like(best, dtype=torch.bool)
        now = problem.evaluate(vertices)
        unit = now.energy.to(vertices)[:, None, None]
        while step < most and not good.all():
            step += 1
            moments, change = moments.after(now.gradient / unit, step, rate, BETAS)
            vertices = vertices + change
            now = problem.evaluate(vertices)
            good = polygon(now.x) <= (1 + GOOD) * best
            if step % 100 == 0:
                print(f"Adam, lr {rate}: {step} steps, {int(good.sum())} of {len(good)}", file=sys.stderr, flush=True)
    seconds, curves = clock(ends[0].device) - start, through(problem.nodes(vertices), "")
    return Descent(seconds, step, good, lengths(subject.decoder, curves, ends[0].dtype, ends[0].device))


def _images(subject: Subject, z: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([subject.decoder(curve) for curve in z])


if __name__ == "__main__":
    main()
