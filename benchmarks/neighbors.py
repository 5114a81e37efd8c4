"""Neighbour graphs over 10,000 encoded MNIST digits: time, memory, and how far graph distances are from geodesic ones.

    python benchmarks/neighbors.py                      d = 2 and d = 8, on two threads
    python benchmarks/neighbors.py --dims 8 --sigma 1   a decoder whose latent axes have collapsed in part
    python benchmarks/neighbors.py --device cuda        the same on a GPU

The reference of every pair is the shortest geodesic known: in float64, to 1e-5, from the library's starts and from the refined
curve, where folded decoders are searched from many more. Peak memory is that of the process so far, data included.
"""

import argparse
import copy
import importlib
import resource
import time
from contextlib import nullcontext
from unittest.mock import patch

import torch
from decoders import Subject, mnist
from measuring import Arithmetic
from torch import Tensor

import egregium as eg

BUILDER = importlib.import_module("egregium.relations.neighbors")
PERCENT = (5, 25, 50, 75, 95, 100)


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    models = [mnist(d, options.sigma, options.data_dir).to(options.device) for d in options.dims]
    graphs = [built(model, model.latents[: options.points], options.k, options.calls) for model in models]
    for model, graph in zip(models, graphs, strict=True):
        order = torch.randperm(len(graph.points), generator=torch.Generator().manual_seed(1))[: 2 * options.pairs]
        compared(model, graph, *order.to(options.device).chunk(2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8], help="latent dimensions (default: 2 8)")
    parser.add_argument("--sigma", type=float, default=0.2, help="of the decoder's likelihood (default: 0.2, the library's)")
    parser.add_argument("--points", type=int, default=10_000, help="points (default: 10000, all test images)")
    parser.add_argument("--k", type=int, default=15, help="neighbours (default: 15)")
    parser.add_argument("--pairs", type=int, default=500, help="random pairs to compare on (default: 500)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: 2)")
    parser.add_argument("--calls", action="store_true", help="count decoder calls too, which takes a third longer")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    parser.add_argument("--data-dir", help="folder that holds mnist/")
    return parser.parse_args()


def built(model: Subject, points: Tensor, k: int, count: bool) -> eg.SupportGraph:
    """The graph, with what it cost; of all dimensions before any comparison, which takes more memory."""
    where = f"{points.device}, {torch.get_num_threads()} threads"
    print(f"\n## {model.label}, d = {points.shape[1]}, {len(points)} points, k = {k}, float32, {where}")
    space, by_connect = eg.Pullback(model.decoder, dim=points.shape[1]), 0

    def counting(space: eg.Pullback, z0: Tensor, z1: Tensor, **keywords: object) -> eg.Geodesic:
        nonlocal by_connect
        by_connect += len(z0)
        return eg.connect(space, z0, z1, **keywords)  # type: ignore[arg-type]

    wall, cpu = time.perf_counter(), time.process_time()
    with patch.object(BUILDER, "connect", counting), Calls(space, points[:1]) if count else nullcontext() as counted:
        graph = eg.neighbors(space, points, k, on_fail="mark")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{graph!r}, {int(graph.components().max()) + 1} component(s)")
    print(f"{wall:.0f} s, {cpu:.0f} s of processor time, peak memory {memory:.2f} GB, "
          f"{by_connect} edges by connect")  # fmt: skip
    if counted is not None:
        print(f"{counted.total / counted.unit / len(graph.edges):.0f} decoder calls an edge")
    print(f"edges over decoded chords: {_quantiles((graph.lengths / graph.lower - 1)[graph.lower > 0])}", flush=True)
    return graph


class Calls(Arithmetic):
    """Arithmetic in units of one decoded point of `space`: a gradient counts as three."""

    def __init__(self, space: eg.Pullback, point: Tensor) -> None:
        super().__init__()
        cheap = space.economical()
        cheap.immerse(point)  # checks the decoder on first contact
        with Arithmetic() as one, torch.no_grad():
            cheap.immerse(point)
        self.unit = one.total


def compared(model: Subject, graph: eg.SupportGraph, i: Tensor, j: Tensor) -> None:
    """Excess of the graph's distances of the pairs, before and after refinement, over the shortest curves known."""
    space = eg.Pullback(model.decoder, dim=graph.points.shape[1])
    exact = eg.Pullback(copy.deepcopy(model.decoder).double(), dim=graph.points.shape[1])
    print(f"\n## d = {graph.points.shape[1]}: {len(i)} random pairs")
    start = time.perf_counter()
    fine = eg.pairwise(space, graph, on_fail="mark").refine(i, j)
    seconds = time.perf_counter() - start
    z0, z1 = graph.points[i].double(), graph.points[j].double()
    own = eg.connect(exact, z0, z1, rtol=1e-5, on_fail="mark")
    again = eg.connect(exact, z0, z1, rtol=1e-5, starts=fine.nodes.double(), on_fail="mark")
    known = torch.stack([one.length.where(one.ok, torch.inf) for one in (own, again)])
    best, plain = known.amin(0), eg.connect(space, z0.float(), z1.float(), on_fail="mark")
    kept = torch.isfinite(best)
    print(f"{int(kept.sum())} with a reference; refined in {seconds:.0f} s: {fine!r}")
    for name, length in {
        "graph": graph.between(i, j), "refined": fine.length.where(fine.ok, torch.nan), "connect alone": plain.length,
    }.items():  # fmt: skip
        excess = (length / best - 1)[kept]
        print(f"excess of {name}: {_quantiles(excess)}; {int(excess.isnan().sum())} failed", flush=True)


def _quantiles(values: Tensor) -> str:
    values = values[~values.isnan()].double()
    return ", ".join(f"{percent} %: {float(values.quantile(percent / 100)):.1e}" for percent in PERCENT)


if __name__ == "__main__":
    main()
