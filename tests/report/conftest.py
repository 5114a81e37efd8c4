"""Run folders of made-up studies with realistic numbers: what a study writes, without training anything."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from egregium.identifiability.dispersion import summarize
from egregium.runs.files import make_folder, write_json, write_table, write_tensors

# relation: (noise between trainings, spread of the training's scale, constant offset, scale type)
RELATIONS = {
    "euclidean": (0.28, 0.16, 0.0, "ratio"),
    "euclidean_scaled": (0.28, 0.0, 0.0, "ratio"),
    "euclidean_whitened": (0.26, 0.03, 0.0, "ratio"),
    "euclidean_aligned": (0.22, 0.05, 0.0, "ratio"),
    "chord": (0.09, 0.03, 0.0, "ratio"),
    "straight_length": (0.27, 0.09, 0.0, "ratio"),
    "geodesic": (0.17, 0.06, 0.0, "ratio"),
    "geodesic_mean": (0.18, 0.06, 0.0, "ratio"),
    "geodesic_one": (0.21, 0.08, 0.0, "ratio"),
    "angle": (0.33, 0.0, 0.0, "circular"),
    "density": (0.45, 0.0, -4.0, "interval"),
    "independent_draw_32": (0.24, 0.04, 2.5, "ratio"),
    "independent_draw_256": (0.30, 0.04, 8.0, "ratio"),
}
UNSOLVED = ("geodesic", "geodesic_mean", "geodesic_one", "angle")


def make_tables(n_models: int, n_pairs: int, endpoints: tuple[str, ...], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    truth = rng.gamma(4.0, 0.5, n_pairs) + 0.3
    ends = rng.integers(200, size=(3, n_pairs))
    frames, all_values = [], {}
    for endpoint in endpoints:
        for relation, (noise, scale_spread, offset, _) in RELATIONS.items():
            base = truth if relation != "euclidean_scaled" else truth / truth.mean()
            values = base * np.exp(noise * rng.standard_normal((n_models, n_pairs))) + offset
            values *= np.exp(scale_spread * rng.standard_normal((n_models, 1)))
            if relation == "euclidean_scaled":
                values = all_values["euclidean", endpoint] / all_values["euclidean", endpoint].mean(1, keepdims=True)
            all_values[relation, endpoint] = values
            values = np.pi * (1 - np.exp(-values / 3)) if relation == "angle" else values
            failed = rng.random(values.shape) < (0.012 if relation in UNSOLVED else 0.0)
            model, pair = np.meshgrid(np.arange(n_models), np.arange(n_pairs), indexing="ij")
            frames.append(
                pd.DataFrame(
                    {
                        "model": model.ravel(),
                        "pair": pair.ravel(),
                        "i": ends[0][pair].ravel(),
                        "j": ends[1][pair].ravel(),
                        "k": ends[2][pair].ravel() if relation == "angle" else -1,
                        "relation": relation,
                        "endpoint": endpoint,
                        "n_points": 256,
                        "value": values.ravel(),
                        "lower": values.ravel() * 0.99,
                        "upper": values.ravel() * 1.01,
                        "status": np.where(failed, "MAX_STEPS", "CONVERGED").ravel(),
                    }
                )
            )
    table = pd.concat(frames).sort_values(["model", "pair", "relation", "endpoint"], ignore_index=True)
    table.attrs["scales"] = {name: item[3] for name, item in RELATIONS.items()}
    return table, summarize(table, resamples=50)


def diagnostics(n_models: int, endpoints: tuple[str, ...], table: pd.DataFrame) -> dict:
    shares = table.groupby(["endpoint", "relation"])["status"].value_counts(normalize=True)
    ratios = {
        "geodesic/chord": (1.08, 1.31, 1.9),
        "geodesic/straight": (0.62, 0.83, 0.99),
        "second_best/length": (1.01, 1.12, 1.6),
    }
    sources = {"endpoint": 0.061, "image_mismatch": 0.094, "decoder_disagreement": 0.038, "solver": 0.0004}
    isometry = {
        "defect_median": 0.41,
        "defect_q95": 0.83,
        "cv_bound_median": 0.21,
        "cv_observed_median": 0.17,
        "share_within_bound": 0.93,
        "sentence": "For 93 % of the pairs the CV observed lies within what the measured departure from isometry allows.",
    }
    return {
        "status": [{"endpoint": e, "relation": r, "status": s, "share": float(v)} for (e, r, s), v in shares.items()],  # pyright: ignore
        "ratios": [
            {"name": k, "endpoint": e, "q05": q[0], "median": q[1], "q95": q[2]} for e in endpoints for k, q in ratios.items()
        ],
        "variance": [
            {
                "source": k,
                "endpoint": "encoder",
                "cv": v if n_models > 1 or k == "solver" else None,
                "sentence": f"Made up: {k}.",
            }
            for k, v in sources.items()
        ],
        "isometry": isometry if n_models > 1 else None,
    }


def figure_arrays(n_models: int, d: int, seed: int, n: int = 1500) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=n)
    centres = rng.standard_normal((10, d)) * 1.6
    arrays: dict[str, np.ndarray] = {"labels": labels.astype(np.int64)}
    for i in range(min(n_models, 4)):
        turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
        points = (centres[labels] + 0.35 * rng.standard_normal((n, d))) @ turn
        arrays[f"latents/{i}"] = np.tanh(points / 2.5) * 3 + 0.2 * rng.standard_normal((n, d))
    if d != 2:
        return {key: torch.as_tensor(value) for key, value in arrays.items()}
    axis = np.linspace(-3.5, 3.5, 60)
    grid = np.stack(np.meshgrid(axis, axis, indexing="xy"), axis=2)
    t = np.linspace(0, 1, 65)[:, None]
    straight = (1 - t) * np.array([-2.2, -1.4]) + t * np.array([2.0, 1.2])
    arrays |= {
        "map/grid": grid,
        "map/log_volume": 2 * np.exp(-(grid**2).sum(2) / 2.2) + 0.3 * np.sin(2 * grid[..., 0]) * np.cos(grid[..., 1]),
        "map/points": arrays["latents/0"],
        "map/straight": straight,
        "map/geodesic": straight + np.sin(np.pi * t) * np.array([-0.9, 1.5]),
    }
    pixel = np.linspace(-1, 1, 16)
    u, v = np.meshgrid(pixel, pixel)
    for kind, size in (("geodesic", 1.2), ("straight", 0.5)):
        rings = [
            np.exp(-12 * (np.hypot(u - 0.5 * (a - 0.5), v) - 0.3 - 0.3 * size * a * (1 - a) * 2) ** 2)
            for a in np.linspace(0, 1, 11)
        ]
        arrays[f"map/{kind}_images"] = np.stack(rings)[:, None]
    return {key: torch.as_tensor(value) for key, value in arrays.items()}


def write_run(
    folder: Path,
    *,
    n_models: int = 30,
    n_pairs: int = 100,
    d: int = 2,
    endpoints: tuple[str, ...] = ("encoder", "projection"),
    seed: int = 0,
) -> Path:
    """A run folder as a study of that size would leave it."""
    make_folder(folder)
    table, summary = make_tables(n_models, n_pairs, endpoints, seed)
    write_table(folder / "table.parquet", table)
    write_table(folder / "summary.parquet", summary)
    write_json(folder / "diagnostics.json", diagnostics(n_models, endpoints, table))
    write_tensors(folder / "figures.safetensors", figure_arrays(n_models, d, seed))
    config = {
        "data": {"source": "digits", "data_dir": "/home/someone/data", "size": None, "seed": 0, "checksum": "9f" * 32},
        "models": n_models,
        "pairs": n_pairs,
        "seeds": list(range(n_models)),
        "endpoints": list(endpoints),
        "relations": list(RELATIONS),
        "model": {
            "latent": d,
            "decoders": 8,
            "hidden": [256, 256],
            "likelihood": "gaussian",
            "activation": "silu",
            "split_batches": True,
        },
    }
    versions = {"egregium": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.0"}
    write_json(folder / "run.json", {"schema": 1, "config": config, "provenance": {"versions": versions, "git": None}})
    return folder


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return write_run


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 trainings, 100 pairs, two kinds of endpoints, two latent dimensions; read-only by agreement."""
    return write_run(tmp_path_factory.mktemp("study"))
