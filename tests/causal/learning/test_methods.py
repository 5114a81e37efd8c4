"""Laws of all methods: they learn something, repeat, answer in the right shapes, and are stored without loss."""

import json
import math

import pytest
import torch

from egregium.causal.learning import METHODS, load_learned, save_learned
from egregium.causal.learning.schedule import Targeted
from egregium.errors import ModelError, OptionError


def test_the_objective_falls_and_decodings_near_what_was_seen(kind, small) -> None:
    found = small.fit(kind, steps=150)
    assert len(found.history) == 150 and all(map(math.isfinite, found.history))
    if not isinstance(found.method, Targeted):  # those begin near the end, and their objective rises with beta
        assert sum(found.history[-5:]) < sum(found.history[:5])
    back = found.decode_noise(found.noise(small.x))
    assert (back - small.x).square().mean() < 0.5 * small.x.var(0).mean()


def test_it_repeats_bit_by_bit_and_the_seed_matters(kind, small, trained) -> None:
    known, again, other = trained(kind), small.fit(kind), small.fit(kind, seed=1, steps=2)
    for name, one in known.model.state_dict().items():
        assert torch.equal(one, again.model.state_dict()[name])
    assert known.history == again.history
    assert not torch.equal(other.encode(small.x), small.fit(kind, steps=2).encode(small.x))


def test_the_global_random_state_is_left_alone(kind, small) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    small.fit(kind, steps=2)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_shapes(kind, small, trained) -> None:
    found = trained(kind)
    for rows in (0, 1, 7):
        x, y = small.x[:rows], small.x_after[:rows]
        z, e, targets = found.encode(x), found.noise(x), found.targets(x, y)
        assert z.shape == e.shape == found.decode_noise(e).shape == (rows, 2)
        assert targets.shape == (rows,) and not targets.is_floating_point()
        assert bool(((targets >= 0) & (targets <= 2)).all())
    assert not z.requires_grad and not targets.requires_grad


def test_rows_do_not_depend_on_their_neighbours(kind, small, trained) -> None:
    found = trained(kind)
    torch.testing.assert_close(found.encode(small.x)[3:5], found.encode(small.x[3:5]), atol=1e-5, rtol=1e-5)
    assert torch.equal(found.targets(small.x, small.x_after)[:9], found.targets(small.x[:9], small.x_after[:9]))


def test_the_specification_survives_json(kind, small) -> None:
    method = small.method(kind, components=2)
    assert kind.from_json(json.loads(json.dumps(method.to_json()))) == method
    assert METHODS[method.to_json()["method"]] is kind
    with pytest.raises(ModelError, match=kind.name):
        kind.from_json(method.to_json() | {"colour": 1})


def test_files_keep_all_of_it(kind, small, trained, tmp_path) -> None:
    found = trained(kind)
    save_learned(tmp_path / "model.safetensors", found, "address")
    back, address = load_learned(tmp_path)
    assert address == "address" and back.method == found.method and back.history == found.history and back.seed == found.seed
    assert torch.equal(back.encode(small.x), found.encode(small.x))
    assert torch.equal(back.targets(small.x, small.x_after), found.targets(small.x, small.x_after))
    save_learned(tmp_path / "again", back, "address")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("n", 0), ("n", 2.0), ("n", True), ("steps", 0), ("batch_size", -1), ("lr", 0.0), ("lr", float("nan")), ("lr", "fast"),
        ("lr", True), ("components", 0), ("components", 1.5), ("hidden", ()), ("hidden", (8, 9.5)), ("hidden", 8),
    ],
)  # fmt: skip
def test_values_out_of_range(kind, option: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"{kind.name}\({option}=\)"):
        kind(**({"n": 2} | {option: value}))
