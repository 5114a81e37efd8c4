"""Time and quality of geodesics on a trained MNIST decoder: this library against stochman and the published spline.

    make bench                                  both dimensions, everything (the published spline takes long)
    make bench ARGS="--dims 2 --no-spline"      the comparison with stochman alone
    make bench ARGS="--data-dir FOLDER"         a folder that holds mnist/

All methods run in one process, on one thread, in float32, interleaved; the ratio of two methods is the median over the
repetitions. Every curve is measured again by one evaluator: a float64 copy of the decoder, 1000 segments.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from decoders import Trained, images, trained
from methods import DEFAULT, OTHERS, PUBLISHED, Answer, Method, has_stochman, lengths, reference, stochman_default
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry as flops_of

TIE = 1e-6


@dataclass
class Record:
    """What one method did on one set of pairs: seconds of each repetition, measured lengths, decoder calls a pair."""

    method: Method
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    length: Tensor = field(default_factory=lambda: torch.empty(0))
    calls: float = float("nan")
    remark: str = ""


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    data = images(options.data_dir)
    for sigma, d in product(options.sigma, options.dims):
        model = trained(d, data, sigma)
        print(f"\n## {model.data}, d = {d}, decoder of {model.weights:,} weights (sigma {sigma}), float32, one thread")
        methods = [DEFAULT]
        if has_stochman():
            methods.append(stochman_default())
        else:
            print("stochman is not installed, so it is left out: make bench installs it.", file=sys.stderr)
        methods += OTHERS if options.all else OTHERS[:1]
        records = compare(model, methods, options.pairs, options.repeats, f"d = {d}")
        print(table(records, options.pairs))
        if has_stochman():
            print(verdict(records[0], records[1]))
        if options.spline and sigma == options.sigma[0]:
            slow = compare(model, [DEFAULT, PUBLISHED], options.spline_pairs, 1, f"d = {d}, published spline", count=False)
            print("\n" + table(slow, options.spline_pairs))
            print(verdict(slow[0], slow[1]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8], help="latent dimensions (default: 2 8)")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of test points (default: 100)")
    parser.add_argument("--spline-pairs", type=int, default=10, help="pairs for the published spline (default: 10)")
    parser.add_argument("--repeats", type=int, default=3, help="interleaved repetitions (default: 3)")
    parser.add_argument(
        "--sigma", type=float, nargs="+", default=[0.2, 1.0],
        help="of the decoder's likelihood (default: 0.2, the library's, and 1, the published one: d = 8 collapses in part)",
    )  # fmt: skip
    parser.add_argument("--data-dir", help="folder that holds mnist/")
    parser.add_argument("--no-spline", dest="spline", action="store_false", help="leave the published spline out")
    parser.add_argument("--all", action="store_true", help="Georce and Adam on the vertices as well (slow)")
    return parser.parse_args()


def compare(
    model: Trained, methods: Sequence[Method], pairs: int, repeats: int, label: str, count: bool = True
) -> list[Record]:
    """Run all methods `repeats` times in turn; the last record is the float64 reference, timed once."""
    z0, z1 = model.pairs(pairs)
    records = [Record(method) for method in methods]
    for record in records if count else records[:1]:
        record.calls = decoder_calls(model.decoder, record.method, z0, z1) / pairs
    for repeat in range(repeats):
        for record in records:
            print(
                f"\r{label}: {record.method.name}, repetition {repeat + 1} of {repeats}".ljust(79),
                end="",
                file=sys.stderr,
                flush=True,
            )
            answer = _timed(record, model.decoder, z0, z1)
            if repeat == 0:
                record.length = lengths(_double(model.decoder), answer.curves, z0.dtype)
    print("\r".ljust(80) + "\r", end="", file=sys.stderr)
    exact = Record(reference())
    answer = _timed(exact, _double(model.decoder), z0, z1)
    exact.length = lengths(_double(model.decoder), answer.curves, torch.float64)
    return [*records, exact]


def _timed(record: Record, decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
    wall, cpu = time.perf_counter(), time.process_time()
    answer = record.method.join(decoder, z0, z1)
    record.cpu.append(time.process_time() - cpu)
    record.wall.append(time.perf_counter() - wall)
    record.remark = answer.remark
    return answer


def _double(decoder: nn.Module) -> nn.Module:
    return copy.deepcopy(decoder).double()


class Arithmetic(TorchDispatchMode):
    """Counts the floating-point operations of matrix products, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = flops_of.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **kwargs, out_val=out)
        return out


def decoder_calls(decoder: nn.Module, method: Method, z0: Tensor, z1: Tensor) -> float:
    """Arithmetic of a run in units of one decoded point: a gradient counts as three. This run also warms up."""
    with Arithmetic() as one, torch.no_grad():
        decoder(z0[:1])
    with Arithmetic() as whole:
        method.join(decoder, z0, z1)
    return whole.total / one.total


def table(records: Sequence[Record], pairs: int) -> str:
    """One line a method: seconds, work, and how much longer its curves are than the best known ones."""
    best = torch.stack([record.length for record in records]).amin(0)
    head = ("method", "CPU s", "wall s", "calls/pair", "median excess", "95 % excess", "worst", "remark")
    rows = [head]
    for record in records:
        excess = record.length / best - 1
        quantiles = [f"{float(excess.quantile(q)):.1e}" for q in (0.5, 0.95, 1.0)]
        seconds = [f"{statistics.median(times):.2f}" for times in (record.cpu, record.wall)]
        calls = "" if record.calls != record.calls else f"{record.calls:,.0f}"
        rows.append((record.method.name, *seconds, calls, *quantiles, record.remark))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return f"{pairs} pairs\n" + "\n".join(lines)


def verdict(ours: Record, other: Record) -> str:
    """How `ours` compares with another method on the same pairs."""
    shorter = (ours.length <= other.length * (1 + TIE)).double().mean()
    cpu, wall = (
        statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in ((ours.cpu, other.cpu), (ours.wall, other.wall))
    )
    return (
        f"{ours.method.name} against {other.method.name}: {cpu:.1f}x faster by processor time, {wall:.1f}x by the clock; "
        f"not longer (within {TIE:.0e}) on {100 * shorter:.0f} % of pairs."
    )


if __name__ == "__main__":
    main()
