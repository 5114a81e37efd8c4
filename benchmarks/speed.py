"""Time and quality of geodesics on a trained MNIST decoder: this library against its peers and against the floor.

    make bench                                        the whole comparison, and the other studies
    python benchmarks/speed.py --dims 2 --no-spline   the comparison with stochman alone
    python benchmarks/speed.py --all                  also Georce, as here and as published, and Adam on the vertices
    python benchmarks/speed.py --device cuda          the same on a GPU, in seconds of the wall
    python benchmarks/speed.py --quick                a smoke run

All methods run in one process, in float32 and, on a CPU, on one thread, in turn. The floor is one pass of Jacobians and seven
of gradients over the inner vertices of 32 segments. The library runs at its default tolerance and at looser ones, of which the
excesses tell how they compare with stochman's default. Every curve is measured again by one evaluator: a float64 copy of the
decoder, 1000 segments; `good` is the share of pairs whose curve is within 1e-4 of the best one known.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from itertools import product

import torch
from decoders import Subject, mnist
from measuring import Record, aligned, double, floor, interleaved, lengths, run, warm_up
from methods import DEFAULT, LOOSE, OTHERS, Method, has_stochman, ours, published, reference, stochman_default

TIE = 1e-6
GOOD = 1e-4


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    for sigma, d in product(options.sigma, options.dims):
        subject = mnist(d, sigma, options.data_dir, 1 if options.quick else 20).to(options.device)
        print(
            f"\n## {subject.label}, d = {d}, decoder of {subject.weights:,} weights (sigma {sigma}), float32, {options.device}"
        )
        mine = [DEFAULT, *LOOSE]
        others = [stochman_default()] if has_stochman() and not options.quick else []
        others += [] if options.quick else OTHERS if options.all else OTHERS[:1]
        records = compared(subject, [*mine, *others], options.pairs, options.repeats)
        for one, other in product(records[: len(mine)], records[len(mine) : -1]):
            print(verdict(one, other))
        if options.many:
            print(many(subject, options.pairs, options.many))
        if options.spline and sigma == options.sigma[0]:
            print()
            slow = compared(subject, [DEFAULT, published(options.spline_batch)], options.spline_pairs, 1)
            print(verdict(slow[0], slow[1]))
    if not has_stochman():
        print("stochman is not installed, so it was left out: make bench installs it.", file=sys.stderr)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8], help="latent dimensions (default: 2 8)")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of test points (default: 100)")
    parser.add_argument("--many", type=int, default=2000, help="pairs of the comparison by number, 0: none (default: 2000)")
    parser.add_argument("--spline-pairs", type=int, default=10, help="pairs for the published spline (default: 10)")
    parser.add_argument("--spline-batch", type=int, default=10, help="pairs that it optimises together (default: 10; or 20)")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions in turn (default: 3)")
    parser.add_argument(
        "--sigma", type=float, nargs="+", default=[0.2, 1.0],
        help="of the decoder's likelihood (default: 0.2, the library's, and 1, the published one: d = 8 collapses in part)",
    )  # fmt: skip
    parser.add_argument("--data-dir", help="folder that holds mnist/")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--no-spline", dest="spline", action="store_false", help="leave the published spline out")
    parser.add_argument("--all", action="store_true", help="Georce, as published too, and Adam on the vertices (slow)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few pairs, no peers")
    options = parser.parse_args(arguments)
    if options.quick:
        options.dims, options.sigma, options.pairs, options.repeats = [2], [0.2], 4, 1
        options.many, options.spline = 8, False
    return options


def compared(subject: Subject, methods: Sequence[Method], pairs: int, repeats: int) -> list[Record]:
    """Run and print; the last record is the float64 reference, timed once."""
    ends = subject.pairs(pairs)
    records = [Record(method) for method in methods]
    for record in records:
        if not record.method.hours:
            warm_up(record, subject.decoder, *ends)
    interleaved(records, subject.decoder, ends, repeats, lambda text: print(text, file=sys.stderr, flush=True))
    exact = Record(reference())
    answer = run(exact, double(subject.decoder), *ends)
    exact.length = lengths(subject.decoder, answer, torch.float64, ends[0].device)
    lowest = statistics.median(floor(subject.decoder, *ends) for _ in range(max(1, repeats)))
    print(f"{pairs} pairs; floor {lowest:.3f} s")
    print(table([*records, exact], lowest))
    return [*records, exact]


def table(records: Sequence[Record], lowest: float) -> str:
    """One line a method: seconds, work, memory, and how much longer its curves are than the best known ones."""
    best = torch.stack([record.length for record in records]).amin(0)
    head = ("method", "s", "of floor", "calls/pair", "MiB", "good", "median excess", "95 % excess", "worst", "remark")
    rows = [head]
    for record in records:
        excess = record.length / best - 1
        quantiles = [f"{float(excess.quantile(q)):.1e}" for q in (0.5, 0.95, 1.0)]
        measured = [f"{value:,.0f}" if value == value else "" for value in (record.calls, record.memory)]
        good = f"{100 * float((excess <= GOOD).double().mean()):.0f} %"
        times = (f"{record.median:.3f}", f"{record.median / lowest:.1f}")
        rows.append((record.method.name, *times, *measured, good, *quantiles, record.remark))
    return aligned(rows)


def many(subject: Subject, few: int, number: int) -> str:
    """Cost a pair of `number` pairs on one decoder, against that of a `few`, and against the floor."""
    number = min(number, len(subject.latents) // 2)
    costs = {}
    for count in (few, number):
        record, ends = Record(ours("egregium")), subject.pairs(count)
        run(record, subject.decoder, *ends)
        costs[count] = (record.median / count, floor(subject.decoder, *ends) / count)
    (cost, lowest), (fewer, _) = costs[number], costs[few]
    return (
        f"{number} pairs: {1e3 * cost:.2f} ms a pair, {cost / lowest:.2f} of the floor; {fewer / cost:.1f}x cheaper a pair "
        f"than {few} pairs ({1e3 * fewer:.2f} ms)."
    )


def verdict(mine: Record, other: Record) -> str:
    """How one record compares with another method's on the same pairs."""
    shorter = (mine.length <= other.length * (1 + TIE)).double().mean()
    faster = statistics.median(b / a for a, b in zip(mine.seconds, other.seconds, strict=True))
    return (
        f"{mine.method.name} against {other.method.name}: {faster:.1f}x faster; "
        f"not longer (within {TIE:.0e}) on {100 * shorter:.0f} % of pairs."
    )


if __name__ == "__main__":
    main()
