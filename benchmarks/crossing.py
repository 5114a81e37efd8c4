"""From how many latent dimensions on L-BFGS costs less than Gauss-Newton: the measurement behind the default's rule.

    python benchmarks/crossing.py                    the table of docs/choosing-a-solver.md
    python benchmarks/crossing.py --device cuda      on a GPU
    python benchmarks/crossing.py --quick            a smoke run

Decoders of random weights, tolerance 1e-3: 20 pairs on perceptrons of 784 outputs, 4 on convolutional ones of 3072. `agree` is
the largest relative difference of the two solvers' lengths.
"""

import argparse
from collections.abc import Sequence

import torch
from decoders import structured
from measuring import Record, aligned, run
from methods import ours

from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.solvers import LBFGS, GaussNewton

CASES = {"mlp": (784, 20), "conv": (3072, 4)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[8, 16, 32, 64], help="latent dimensions (default: 8 16 32 64)")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--quick", action="store_true", help="a smoke run: d = 8, perceptrons")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dims, kinds = ([8], ["mlp"]) if options.quick else (options.dims, list(CASES))
    rows = [("decoder", "d", "GaussNewton, s", "LBFGS, s", "converged", "agree")]
    rows += [compared(kind, d, options.device) for kind in kinds for d in dims]
    print(aligned(rows))


def compared(kind: str, d: int, device: str) -> tuple[str, ...]:
    """A line: both solvers on one decoder."""
    outputs, pairs = CASES[kind]
    subject = structured(kind, d, outputs).to(device)
    found: list[Geodesic] = []
    seconds = []
    for solver in (GaussNewton(), LBFGS()):
        record = Record(ours(type(solver).__name__, solver))
        answer = run(record, subject.decoder, *subject.pairs(pairs))
        assert isinstance(answer.curves, Geodesic)
        found.append(answer.curves)
        seconds.append(f"{record.median:.2f}")
    difference = float((found[1].length / found[0].length - 1).abs().max())
    converged = sum(int(g.ok.sum()) for g in found)
    return kind, str(d), *seconds, f"{converged} of {2 * pairs}", f"{difference:.1e}"


if __name__ == "__main__":
    main()
