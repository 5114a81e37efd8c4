"""Data of known topology: do distances on a trained decoder find the true ones again, by the shape of its latent space?

    python benchmarks/topology.py             all models, an hour on one thread; goes on where it was stopped
    python benchmarks/topology.py --table     the table of what has been finished
    python benchmarks/topology.py --quick     a smoke run

Three data sets of 4,000 observations with Gaussian noise, each a smooth image of a space: a pattern of 64 pixels that is
shifted cyclically (a circle), a pattern of 16 x 16 pixels that is shifted in both directions (a torus), and a ball with a soft
spot on it, turned in all directions and seen by six cameras (a sphere). True are the lengths of shortest curves on the
noiseless data. Distances of a model are those of its decoder between the encodings of 20 noiseless observations that it was not
trained on; given is Spearman's correlation with the true ones over the 190 pairs, and the log-likelihood of 500 new
observations, by which a user would choose among trainings. Results are kept in `docs/results/topology.csv`.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rows import Row, finished, keep
from scipy.stats import spearmanr
from torch import Tensor

import egregium as eg
from egregium.spaces import Euclidean, Explicit, Sphere, Torus

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "topology.csv"
SIGMA = 0.1  # of the noise, and of the likelihood
SEEDS = 5
SPACES: dict[str, Explicit] = {
    "T1": Torus(1), "E1": Euclidean(1), "T2": Torus(2), "S2": Sphere(2), "E2": Euclidean(2),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Observations of a space: `observe` takes what `space.embed` gives, `(N, k) -> (N, D)`. `latents` are compared on it."""

    space: Explicit
    observe: Callable[[Tensor], Tensor]
    latents: tuple[str, ...]

    def seen(self, z: Tensor) -> Tensor:
        """What is observed at points of the space."""
        return self.observe(self.space.embed(z))


def shifted(x: Tensor) -> Tensor:
    """A bump on a circle of 64 pixels, `(N, 2) -> (N, 64)`."""
    return _bump(x, 64, sharpness=4.0)


def shifted_twice(x: Tensor) -> Tensor:
    """A bump on a torus of 16 x 16 pixels, `(N, 4) -> (N, 256)`."""
    rows, columns = _bump(x[:, ::2], 16, sharpness=2.0), _bump(x[:, 1::2], 16, sharpness=2.0)
    return (rows[:, :, None] * columns[:, None]).flatten(1)


def turned(x: Tensor) -> Tensor:
    """A soft spot in the direction x on a ball, from front and back, left and right, above and below, `(N, 3) -> (N, 222)`."""
    return (4.0 * (x @ _visible().to(x).T - 1)).exp()


SHAPES = {
    "cyclic shift (circle)": Shape(Torus(1), shifted, ("T1", "E1")),
    "two shifts (torus)": Shape(Torus(2), shifted_twice, ("T2", "E2", "S2")),
    "views of a ball (sphere)": Shape(Sphere(2), turned, ("S2", "E2", "T2")),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    if not options.table:
        for name, latent, seed in _planned(options):
            row = measured(SHAPES[name], latent, seed, options)
            print(", ".join(f"{key} {value}" for key, value in ({"data": name} | row).items()), flush=True)
            if not options.quick:
                keep(options.results, {"data": name} | row)
    if not options.quick:
        print(table(finished(options.results)))


def measured(shape: Shape, latent: str, seed: int, options: argparse.Namespace) -> dict[str, str]:
    """One model trained, its distances beside the true ones, and how likely it finds new observations."""
    draws = torch.Generator().manual_seed(0)
    x, fresh = (_observations(shape, n, draws) for n in (options.observations, options.fresh))
    points = shape.space.random(options.points, generator=draws)
    space = SPACES[latent]
    spec = eg.models.VAE(latent=space, decoders=1, hidden=(64, 64), sigma=SIGMA, epochs=options.epochs, batch_size=100)
    (model,) = eg.fit(spec, x, seeds=[seed], workers=1, progress=False)
    first, second = torch.triu_indices(options.points, options.points, 1)
    true = _lengths(eg.Pullback(shape.observe, base=shape.space), points.double(), first, second)
    found = _lengths(eg.Pullback(list(model.decoders), base=space), model.encode(shape.seen(points)), first, second)
    known = ~(true.isnan() | found.isnan())
    rank = spearmanr(true[known], found[known]).statistic
    error = (found / true.to(found) - 1).abs()[known].median()
    likely = eg.models.log_likelihood(model, fresh, samples=100).mean()
    return {"latent": latent, "seed": str(seed), "spearman": f"{rank:.4f}", "median_error": f"{error:.4f}",
            "log_likelihood": f"{likely:.2f}", "converged": f"{known.double().mean():.3f}",
            "epochs": str(options.epochs)}  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """Rank correlations: all seeds, and the seed that finds the data likeliest."""
    lines = ["| data | latent space | Spearman of each seed | log-likelihood | of the likeliest: Spearman, median error |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, shape in SHAPES.items():
        for latent in shape.latents:
            found = [row for row in rows if (row["data"], row["latent"]) == (name, latent)]
            if found:
                ranks, likely = (", ".join(row[key] for row in found) for key in ("spearman", "log_likelihood"))
                best = max(found, key=lambda row: float(row["log_likelihood"]))
                chosen = f"{best['spearman']}, {float(best['median_error']):.1%}"
                lines.append(f"| {name} | {latent} | {ranks} | {likely} | {chosen} |")
    return "\n".join(lines)


def _observations(shape: Shape, count: int, draws: torch.Generator) -> Tensor:
    x = shape.seen(shape.space.random(count, generator=draws))
    return x + SIGMA * torch.randn(x.shape, generator=draws)


def _lengths(space: eg.Pullback, z: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Lengths of shortest curves, NaN where none was found."""
    curves = eg.connect(space, z[first], z[second], on_fail="mark")
    return torch.where(curves.ok, curves.length, torch.nan)


def _bump(x: Tensor, pixels: int, sharpness: float) -> Tensor:
    """`exp(sharpness (cos(angle - pixel) - 1))` from cosine and sine `(N, 2)` of the angle."""
    places = 2 * math.pi * torch.arange(pixels).to(x) / pixels
    return (sharpness * (x @ torch.stack([places.cos(), places.sin()]) - 1)).exp()


def _visible(pixels: int = 7) -> Tensor:
    """Outward normals `(222, 3)` of a ball at the pixels of six cameras that look along the axes."""
    grid = (2 * torch.arange(pixels) + 1) / pixels - 1
    x, y = torch.meshgrid(grid, grid, indexing="ij")
    inside = x**2 + y**2 < 1
    front = torch.stack([x, y, (1 - x**2 - y**2).clamp(min=0).sqrt()], -1)[inside]
    return torch.cat([side * front.roll(axis, 1) for axis in range(3) for side in (1, -1)])


def _planned(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Models that are not finished, one seed of all first; five of the two that matter most."""
    done = [] if options.quick else [(row["data"], row["latent"], int(row["seed"])) for row in finished(options.results)]
    for seed in range(1 if options.quick else SEEDS):
        for name, shape in SHAPES.items():
            for latent in shape.latents if seed == 0 else shape.latents[:2]:
                if (name, latent, seed) not in done:
                    yield name, latent, seed


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=100, help="most passes over the observations (default: 100)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where rows are kept")
    parser.add_argument("--table", action="store_true", help="train nothing, print the table")
    parser.add_argument("--quick", action="store_true", help="one epoch on few observations, of which nothing is kept")
    options = parser.parse_args(arguments)
    options.observations, options.fresh, options.points = (200, 10, 4) if options.quick else (4000, 500, 20)
    options.epochs = 1 if options.quick else options.epochs
    return options


if __name__ == "__main__":
    main()
