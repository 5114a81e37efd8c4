"""A decoder runs in evaluation mode and comes back as it was; what is no function of a row is refused with advice."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from egregium.errors import DecoderError
from egregium.models import LatentModel
from egregium.spaces import Pullback
from egregium.spaces.decoder import Decoder

Z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))


class Noisy(nn.Module):
    """A decoder whose training mode is random and depends on the batch."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Linear(2, 6)
        for weight in self.first.parameters():
            weight.data.copy_(torch.randn(weight.shape, generator=generator))
        self.rest = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Tanh())
        self.modes: list[bool] = []

    def forward(self, z: Tensor) -> Tensor:
        self.modes.append(self.training)
        return self.rest(self.first(z))

    def decode(self, z: Tensor, scale: float = 1.0) -> Tensor:
        return scale * self.forward(z)


def ways_to_pass(model: Noisy) -> dict[str, Callable[[Tensor], Tensor]]:
    return {
        "module": model,
        "bound method": model.decode,
        "partial": partial(model.decode, scale=1.0),
        "partial of a module": partial(model),
    }


@pytest.mark.parametrize("way", ways_to_pass(Noisy()))
def test_evaluation_mode_inside_and_the_old_modes_after(way: str) -> None:
    model = Noisy().train()
    norm = model.rest[0]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    model.rest[1].eval()  # a part that the user froze stays frozen
    before = {name: part.training for name, part in model.named_modules()}
    running = norm.running_mean.clone()
    space = Pullback(ways_to_pass(model)[way], dim=2)
    for result in (space.metric(Z), space.decode(Z), space.norm(Z, Z), space.frame(Z)):
        assert torch.isfinite(result).all()
    assert not any(model.modes)
    assert {name: part.training for name, part in model.named_modules()} == before
    assert torch.equal(norm.running_mean, running)


def test_modes_come_back_after_an_error() -> None:
    class Broken(Noisy):
        def forward(self, z: Tensor) -> Tensor:
            raise RuntimeError("broken")

    model = Broken().train()
    with pytest.raises(DecoderError, match="broken"):
        Pullback(model, dim=2)
    assert all(part.training for part in model.modules())


def test_weights_get_no_gradient_and_keep_their_flags() -> None:
    model = Noisy()
    Pullback(model).metric(Z)
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_dtype_and_device_follow_the_weights() -> None:
    model = nn.Linear(2, 5).double()
    assert Pullback(model).metric(Z).dtype == torch.float64
    assert Pullback(lambda z: z.repeat(1, 2)).metric(Z).dtype == torch.float32
    assert Decoder(lambda z: z).like is None


def test_any_output_shape_is_flattened() -> None:
    images = Pullback(lambda z: torch.einsum("ni,nj->nij", z, z)[:, None])
    assert images.decode(Z.reshape(2, 3, 2)).shape == (2, 3, 1, 2, 2)
    assert images.ambient(Z.reshape(2, 3, 2)).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("decoder", "words"),
    [
        (lambda z: (z, z), r"tuple of 2; pass `lambda z: decoder\(z\)\[0\]`"),
        (lambda z: [z], "list of 1"),
        (lambda z: {"mean": z}, r"decoder\(z\)\['mean'\]"),
        (lambda z: torch.distributions.Normal(z, 1.0), r"decoder\(z\)\.mean"),
        (lambda z: z[0], "got shape"),
        (lambda z: z.half(), "float16"),
        (lambda z: z.numpy(), "ndarray"),
        (lambda z: z + torch.randn(z.shape), r"not deterministic.*model\.eval\(\)"),
        (lambda z: z - z.mean(0), r"depends on the other points.*model\.eval\(\)"),
        (lambda z: z.detach().exp(), "differentiable"),
        (lambda z: torch.ones(len(z), 3), "constant"),
        (lambda z: z / 0, "NaN or infinity"),
        (lambda z: z.missing, "AttributeError"),
    ],
)
def test_refusals(decoder: Callable[[Tensor], Tensor], words: str) -> None:
    with pytest.raises(DecoderError, match=words):
        Pullback(decoder).metric(Z)


class Whole(nn.Module):
    """A variational autoencoder as most are written: called on observations, it returns several things."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.Linear(5, 2)
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x)
        return z, z


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        (Whole(decoder=nn.Linear(2, 5)), "model.decoder"),
        (Whole(decoders=nn.ModuleList([nn.Linear(2, 5)])), "list(model.decoders)"),
        (LatentModel(nn.Linear(5, 2), nn.Linear(2, 5)), "list(model.decoders)"),
    ],
)
def test_for_a_whole_model_the_part_to_pass_is_named(whole: Callable[[Tensor], Tensor], part: str) -> None:
    with pytest.raises(DecoderError, match=re.escape(f"This looks like a whole model: pass its decoder, {part}.")):
        Pullback(whole).metric(Z)


def test_a_module_list_is_a_list_of_decoders() -> None:
    members = nn.ModuleList([nn.Linear(2, 5), nn.Linear(2, 5)])
    assert torch.equal(Pullback(members).metric(Z), Pullback(list(members)).metric(Z))
    assert repr(Pullback(members, dim=2)) == "Pullback(2 decoders, dim=2)"


def test_a_decoder_that_is_not_finite_everywhere_is_accepted() -> None:
    """Where its curves run matters, not whether a probe happens to lie outside of its domain."""
    assert torch.isfinite(Pullback(lambda z: torch.cat([z, z[:, :1].log()], -1)).metric(Z.abs())).all()


def test_checks_happen_at_once_where_dimension_and_dtype_are_known() -> None:
    with pytest.raises(DecoderError, match="only 1 numbers"):
        Pullback(nn.Linear(2, 1), dim=2)
    Pullback(nn.Linear(2, 1))  # not known yet


def test_attention_runs_under_second_derivatives() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.first, self.last = nn.Linear(2, 12), nn.Linear(12, 5)

        def forward(self, z: Tensor) -> Tensor:
            tokens = self.first(z).reshape(-1, 3, 4)
            return self.last(self.attention(tokens, tokens, tokens, need_weights=False)[0].flatten(1))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        space = Pullback(Attending(), dim=2)
    assert torch.isfinite(space.metric(Z)).all()
