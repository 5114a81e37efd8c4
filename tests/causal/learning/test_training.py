"""`fit`: it stops at any step and goes on bit by bit, keeps trainings apart, and says what is wrong with its input."""

import signal

import pytest
import torch

from egregium.causal.learning import ILCM, IVAE, BetaVAE, fit
from egregium.causal.learning import training as module
from egregium.errors import ModelError, OptionError, RunError, ShapeError, StorageError, TensorError


def test_stopped_within_a_step_and_taken_up_again(kind, small, trained, tmp_path, monkeypatch) -> None:
    objective = type(small.method(kind).build(2, torch.Generator())).objective
    calls = []

    def interrupted(*arguments: object) -> torch.Tensor:
        calls.append(None)
        if len(calls) == 23:
            signal.raise_signal(signal.SIGINT)
        return objective(*arguments)

    model = type(trained(kind).model)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(model, "objective", interrupted)
        small.fit(kind, out=tmp_path)
    assert len(calls) == 23 and (tmp_path / module.STATE_NAME).is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    found = small.fit(kind, out=tmp_path)
    for name, one in trained(kind).model.state_dict().items():
        assert torch.equal(one, found.model.state_dict()[name])
    assert found.history == trained(kind).history
    assert [file.name for file in tmp_path.iterdir()] == [module.FILE_NAME]


def test_a_finished_training_is_read(small, tmp_path, monkeypatch) -> None:
    first = small.fit(BetaVAE, out=tmp_path)
    monkeypatch.setattr(module, "_Training", None)
    assert torch.equal(small.fit(BetaVAE, out=tmp_path).encode(small.x), first.encode(small.x))


@pytest.mark.parametrize("finished", [True, False])
def test_another_training_in_the_folder(small, tmp_path, monkeypatch, finished: bool) -> None:
    if finished:
        small.fit(BetaVAE, out=tmp_path)
    else:
        monkeypatch.setattr(module, "SAVED_EVERY", 0.0)
        monkeypatch.setattr(module, "save_learned", _disk_full)
        with pytest.raises(RuntimeError):
            small.fit(BetaVAE, out=tmp_path)
        monkeypatch.undo()
        assert [file.name for file in tmp_path.iterdir()] == [module.STATE_NAME]
    method, x, y = small.method(BetaVAE), small.x, small.x_after
    others = [
        lambda: small.fit(BetaVAE, out=tmp_path, seed=1),
        lambda: small.fit(BetaVAE, out=tmp_path, lr=1e-3),
        lambda: small.fit(ILCM, out=tmp_path),
        lambda: fit(method, x + 1, y, out=tmp_path, progress=False),
        lambda: fit(method, x.float(), y, out=tmp_path, progress=False),
        lambda: fit(method, y, x, out=tmp_path, progress=False),
    ]
    for other in others:
        with pytest.raises(RunError, match="another"):
            other()
    small.fit(BetaVAE, out=tmp_path)


def _disk_full(*_: object) -> None:
    raise RuntimeError


def test_observations_of_any_shape_and_precision(small) -> None:
    images = torch.stack([small.x, -small.x], -1)[:, None]  # (N, 1, 2, 2)
    after = torch.stack([small.x_after, -small.x_after], -1)[:, None]
    found = fit(small.method(BetaVAE, components=2), images.bfloat16(), after.bfloat16(), progress=False)
    assert found.decode_noise(found.noise(images)).shape == images.shape
    still = torch.cat([small.x, torch.ones(400, 1)], 1), torch.cat([small.x_after, torch.ones(400, 1)], 1)
    assert torch.isfinite(fit(small.method(BetaVAE), *still, progress=False).encode(still[0])).all()


def test_targets_of_any_integer_dtype(small) -> None:
    found = []
    for dtype in (torch.int64, torch.int32, torch.uint8):
        given = small.targets.to(dtype)
        found.append(fit(small.method(IVAE, steps=3), small.x, small.x_after, targets=given, progress=False).encode(small.x))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_an_objective_that_is_not_finite(small) -> None:
    with pytest.raises(ModelError, match=r"beta-vae with seed 0 failed by step .*Lower lr"):
        small.fit(BetaVAE, lr=1e30)


def test_a_line_tells_the_end(small, capsys) -> None:
    fit(small.method(BetaVAE), small.x, small.x_after)
    assert "beta-vae: step 60, objective" in capsys.readouterr().err
    fit(small.method(BetaVAE), small.x, small.x_after, progress=False)
    assert capsys.readouterr().err == ""


def test_bad_pairs(kind, small) -> None:
    method, x, y, targets = small.method(kind), small.x, small.x_after, small.given(kind)
    rows = None if targets is None else targets[:5]
    cases = [
        (ShapeError, "equal shapes", (x, y[:-1]), targets),
        (ShapeError, "equal shapes", (x, torch.cat([y, y], 1)), targets),
        (TensorError, "x_after holds NaN", (x, y.where(y < 1, torch.nan)), targets),
        (TensorError, "x holds NaN or infinity", (x.where(x < 1, torch.inf), y), targets),
        (TensorError, "int64", (x.long(), y), targets),
        (TensorError, "list", ([[1.0]], y), targets),
        (TensorError, r"shape \(400,\)", (x[:, 0], y[:, 0]), targets),
        (TensorError, "at least 6", (x[:5], y[:5]), rows),
        (OptionError, "2 numbers", (x, y), targets),
    ]
    for error, message, pair, given in cases:
        tried = kind(3) if error is OptionError else method
        with pytest.raises(error, match=message):
            fit(tried, *pair, targets=given, progress=False)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="components=3"):
        fit(small.method(kind, components=3), x, y, targets=targets, progress=False)


def test_targets_that_do_not_fit(kind, small) -> None:
    pair = small.x, small.x_after
    if not kind.uses_targets:
        with pytest.raises(OptionError, match="has no use for targets"):
            fit(small.method(kind), *pair, targets=small.targets, progress=False)
        return
    if kind.needs_targets:
        with pytest.raises(OptionError, match="needs the targets"):
            fit(small.method(kind), *pair, progress=False)
    cases = [
        (TensorError, "0 .. 2", small.targets + 1),
        (TensorError, "integer", small.targets.double()),
        (ShapeError, "400 pairs; got 399", small.targets[1:]),
        (ShapeError, r"\(N,\)", small.targets[:, None]),
    ]
    for error, message, targets in cases:
        with pytest.raises(error, match=message):
            fit(small.method(kind), *pair, targets=targets, progress=False)


def test_a_folder_that_is_a_file(small, tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StorageError, match="a file of that name is in the way"):
        small.fit(BetaVAE, out=file)


@pytest.mark.parametrize(("scale", "shift"), [(1e25, 0.0), (1e-25, 0.0), (1.0, 1e4)])
def test_any_scale_and_place_of_observations(small, scale: float, shift: float) -> None:
    x, x_after = (scale * one.double() + shift for one in (small.x, small.x_after))
    found, usual = fit(small.method(BetaVAE), x, x_after, progress=False), small.fit(BetaVAE)
    torch.testing.assert_close(found.encode(x), usual.encode(small.x), atol=0.01, rtol=0)


def test_targets_that_are_open_and_seeds_that_are_none(small) -> None:
    some = small.targets.where(small.targets != 2, -1)
    assert fit(small.method(ILCM), small.x, small.x_after, targets=some, progress=False).n == 2
    with pytest.raises(TensorError, match="targets"):
        fit(small.method(IVAE), small.x, small.x_after, targets=some, progress=False)
    for seed in (-1, 1.5, True, "a", 2**70):
        with pytest.raises(OptionError, match="seed"):
            fit(small.method(BetaVAE), small.x, small.x_after, seed=seed, progress=False)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TensorError, match="equal"):
        fit(small.method(BetaVAE), torch.ones(40, 3), torch.ones(40, 3), progress=False)


def test_a_training_does_not_depend_on_the_precision_of_those_before(small) -> None:
    """Nothing is kept from one to the next that has a precision."""
    torch.set_default_dtype(torch.float64)
    try:
        small.fit(ILCM)
    finally:
        torch.set_default_dtype(torch.float32)
    assert small.fit(ILCM).encode(small.x).dtype == torch.float32
