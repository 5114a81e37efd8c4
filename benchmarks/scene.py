"""The lamp-and-lever scene: pictures a second, how far the pixels tell its variables apart, and a sheet of pictures.

    python benchmarks/scene.py                                   the figures
    python benchmarks/scene.py --plot docs/images/scene.png      and the sheet
    python benchmarks/scene.py --quick                           a smoke run

Seconds are of the wall, one thread, float32, the least and the middle of the repetitions. The Jacobian's singular values are
of 200 points, uniform in |z| <= range, in float64: the smallest over the largest.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from measuring import aligned
from torch import Tensor

from egregium.causal.scene import Scene
from egregium.numerics.derivatives import jacobian

BATCHES = (8, 64, 512)
RANGES = (1.0, 2.5, 4.0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="repetitions (default: 10)")
    parser.add_argument("--plot", help="file of the sheet, a .png")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one repetition, few points")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    scene = Scene()
    print(speed(scene, 1 if options.quick else options.repeats), end="\n\n")
    print(conditioning([1, 3] if options.quick else [1, 2, 3, 4, 5], 10 if options.quick else 200))
    if options.plot:
        plot(scene, Path(options.plot))


def speed(scene: Scene, repeats: int) -> str:
    """A line a batch size: pictures and pairs a second."""
    rows = [("batch", "pictures/s, best", "middle", "pairs/s, best")]
    for batch in BATCHES:
        z = torch.randn(batch, scene.n)
        scene(z)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            scene(z)
            seconds.append(time.perf_counter() - start)
        best, middle = batch / min(seconds), batch / statistics.median(seconds)
        rows.append((str(batch), f"{best:,.0f}", f"{middle:,.0f}", f"{best / 2:,.0f}"))
    return aligned(rows)


def conditioning(lamps: Sequence[int], points: int) -> str:
    """A line a number of lamps and range of variables: the Jacobian's smallest singular value over its largest."""
    rows = [("lamps", "range", "least ratio", "median")]
    for count in lamps:
        scene = Scene(lamps=count)
        for reach in RANGES:
            z = reach * (2 * torch.rand(points, scene.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1)
            ratio = singular_ratios(scene, z)
            rows.append((str(count), f"{reach:g}", f"{ratio.min():.3f}", f"{ratio.median():.3f}"))
    return aligned(rows)


def singular_ratios(scene: Scene, z: Tensor) -> Tensor:
    """Of the picture's Jacobian at each point, `(N,)`."""
    values = torch.linalg.svdvals(jacobian(lambda at: scene(at).flatten(1), z))
    return values[:, -1] / values[:, 0]


def plot(scene: Scene, file: Path) -> None:
    """A row for each variable from -2 to 2 with the others at rest, and two rows of samples."""
    from matplotlib.figure import Figure

    values = torch.arange(-3, 4) * 2 / 3
    swept = torch.full((scene.n, len(values), scene.n), 0.3)
    swept[:, :, 0] = -0.4
    for i in range(scene.n):
        swept[i, :, i] = values
    samples = scene.scm.sample(2, len(values), generator=torch.Generator().manual_seed(5), dtype=torch.float32)
    z = torch.cat([swept, samples])
    pictures = scene(z.flatten(0, 1)).unflatten(0, z.shape[:2]).permute(0, 1, 3, 4, 2)  # (rows, columns, size, size, 3)
    figure = Figure(figsize=(1.3 * z.shape[1], 1.3 * z.shape[0]))
    figure.subplots_adjust(left=0.03, right=0.995, bottom=0.005, top=0.965, wspace=0.02, hspace=0.02)
    grid = figure.subplots(*z.shape[:2])
    for axes, picture in zip(grid.flat, pictures.flatten(0, 1), strict=True):
        axes.imshow(picture.numpy())
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for row, name in zip(grid, [*scene.names, "samples", ""], strict=True):
        row[0].set_ylabel(name, fontsize=10)
    for axes, value in zip(grid[0], values.tolist(), strict=True):
        axes.set_title(f"{value:.1f}", fontsize=9)
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    main()
