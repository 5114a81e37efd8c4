"""Every benchmark runs at its smallest setting, without data and without its peers."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import egregium as eg

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
MODULES = {file.stem for file in BENCHMARKS.glob("*.py")}


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Imports a module of `benchmarks/`, with an empty cache of decoders and no data beside."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delenv("EGREGIUM_DATA", raising=False)
    threads = torch.get_num_threads()
    decoders = importlib.import_module("decoders")
    monkeypatch.setattr(decoders, "CACHE", tmp_path)
    monkeypatch.setattr(decoders, "ROOT", tmp_path)

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield module
    torch.set_num_threads(threads)
    for name in MODULES:
        sys.modules.pop(name, None)


def test_speed(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("speed").main(["--quick"])
    printed = capsys.readouterr().out
    assert "digits, d = 2" in printed and "of floor" in printed and "8 pairs:" in printed


def test_georce_as_published_comes_near_the_best(benchmark) -> None:
    subject, methods, measuring = benchmark("decoders").structured("mlp", 2, 784), benchmark("methods"), benchmark("measuring")
    z0, z1 = subject.pairs(2)
    lengths = [
        measuring.lengths(subject.decoder, method.join(subject.decoder, z0, z1), z0.dtype, z0.device)
        for method in (methods.DEFAULT, methods.georce_as_published(segments=16, most=100))
    ]
    torch.testing.assert_close(lengths[1], lengths[0], rtol=1e-2, atol=0)  # straight pieces between 16 vertices


def test_crossing(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("crossing").main(["--quick"])
    assert "40 of 40" in capsys.readouterr().out


def test_large(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("large").main(["--quick"])
    printed = capsys.readouterr().out
    assert "random mlp, d = 32, D = 784" in printed and "Adam, lr 0.01" in printed


def test_growth(benchmark, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    growth = benchmark("growth")
    growth.main(["--quick", "--plot", str(tmp_path / "growth.png")])
    assert "latent dimensions" in capsys.readouterr().out
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_scene(benchmark, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    benchmark("scene").main(["--quick", "--plot", str(tmp_path / "scene.png")])
    assert "pictures/s" in capsys.readouterr().out
    assert (tmp_path / "scene.png").stat().st_size > 100_000


def test_spaces(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("spaces").main(["--quick"])
    printed = capsys.readouterr().out
    assert "Hyperbolic(2, curvature=-1)" in printed and "d(x, x)" in printed


def test_the_truth_of_spaces_agrees_in_all_coordinates(benchmark) -> None:
    exactness = benchmark("exactness")
    z0, z1 = ([exactness.mpf(a) for a in z] for z in ((0.3, -0.8), (1.1, 0.4)))
    for kind, others in ((exactness.normal(-1), ("SHEET", "BALL")), (exactness.normal(1), ("UNIT", "STEREOGRAPHIC"))):
        for other in (getattr(exactness, name) for name in others):
            assert abs(other.distance(other.store(z0), other.store(z1)) - kind.distance(z0, z1)) < 1e-100


@pytest.mark.parametrize("name", ["latents", "topology"])
def test_latent_spaces(benchmark, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(name).main(["--quick"])
    printed = capsys.readouterr().out
    assert "latent S2, seed 0" in printed and "|" not in printed  # nothing is kept


def test_the_ball_with_a_spot_is_round_and_the_shifts_are_flat(benchmark) -> None:
    """The three surfaces are nearly isometric images of their spaces."""
    for shape in benchmark("topology").SHAPES.values():
        space = eg.Pullback(shape.observe, base=shape.space)
        z = shape.space.random(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        stretch = torch.linalg.svdvals(space.jacobian(z) @ shape.space.frame(z))[:, : shape.space.dim]
        assert float(stretch.max() / stretch.min()) < 1.1


def test_learned_manifolds_are_named(benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("learned").main(["--quick", "--out", str(tmp_path / "found.csv")])
    rows, printed = benchmark("rows").finished(tmp_path / "found.csv"), capsys.readouterr().out
    assert [row["seed"] for row in rows] == ["0", "1"] and all(row["named"] in printed for row in rows)
    assert all(float(row["least"]) <= float(row["held_out"]) and float(row["least"]) <= float(row["flat"]) for row in rows)


def test_rows_are_kept(benchmark, tmp_path: Path) -> None:
    rows = benchmark("rows")
    for seed in ("0", "1"):
        rows.keep(tmp_path / "a" / "found.csv", {"data": "x, y", "seed": seed})
    assert rows.finished(tmp_path / "a" / "found.csv") == [{"data": "x, y", "seed": "0"}, {"data": "x, y", "seed": "1"}]
    assert rows.finished(tmp_path / "none.csv") == []


def test_the_exponent_of_a_power_is_the_power(benchmark) -> None:
    growth = benchmark("growth").Growth
    assert growth.exponent([1, 2, 4, 8], [3 * k**1.5 for k in (1, 2, 4, 8)]) == pytest.approx(1.5)


def test_the_evaluator_measures_a_polygon(benchmark) -> None:
    methods, measuring = benchmark("methods"), benchmark("measuring")
    corner = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]])
    answer = methods.through(corner, "")
    found = measuring.lengths(torch.nn.Identity(), answer, torch.float32, torch.device("cpu"))
    assert found.item() == pytest.approx(7.0)


def test_signatures(benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("signatures").main(["--quick", "--out", str(tmp_path / "found.csv")])
    assert capsys.readouterr().out.count("1 of 1") == 2
    benchmark("signatures").main(["--quick", "--out", str(tmp_path / "found.csv")])  # all is there
    printed = capsys.readouterr()
    assert printed.out.count("1 of 1") == 2 and not printed.err


def test_graphs(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("graphs").main(["--quick"])
    assert "| 3 | linear     | dependence" in capsys.readouterr().out


def test_causal_learning(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("causal_learning").main(["--quick", "--mixing", "orthogonal", "--methods", "ilcm", "beta-vae", "oracle"])
    assert "| orthogonal | 2 | chain | oracle" in capsys.readouterr().out


def test_causal_scene(benchmark, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    benchmark("causal_scene").main(["--quick", "--plot", str(tmp_path / "sheet.png")])
    assert "| known            | 1" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_learning_speed(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("learning_speed").main(["--quick"])
    assert "| aten::mm" in capsys.readouterr().out


def test_oracle(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    oracle = benchmark("oracle")
    oracle.main(["--quick"])
    printed = capsys.readouterr().out
    assert printed.count("1 of 1") == 4 and "2 of 2" in printed  # right graphs, twice, and all bent mixings refused


@pytest.mark.slow
def test_the_oracle_misses_no_edge_of_five_standard_errors(benchmark) -> None:
    oracle = benchmark("oracle")
    for n in (2, 4, 8, 10):
        trials = [oracle.trial(n, 40_000, seed) for seed in range(10)]
        assert sorted(one.scores.shd for one in trials)[5] == 0
        assert max([size for one in trials for size in one.missed], default=0) < 5
        assert min(one.scores.alignment.mcc for one in trials) >= 0.999
        disentanglement = sorted(one.scores.dci.disentanglement for one in trials)
        assert disentanglement[0] >= 0.998 and disentanglement[1] >= 0.999  # a weight two standard errors off is seen


@pytest.mark.slow
def test_two_signatures_of_each_family(benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("signatures").main(["--instances", "2", "--out", str(tmp_path / "found.csv")])
    assert capsys.readouterr().out.count("2 of 2") == 9
