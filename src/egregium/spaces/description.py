"""Explicit spaces as JSON, for specifications that name one."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from egregium.errors import OptionError
from egregium.spaces.constant_curvature import ConstantCurvature
from egregium.spaces.euclidean import Euclidean
from egregium.spaces.explicit import Explicit
from egregium.spaces.hyperbolic import Hyperbolic
from egregium.spaces.product import Product
from egregium.spaces.scaled import Scaled
from egregium.spaces.sphere import Sphere
from egregium.spaces.torus import Torus

KINDS: Mapping[str, tuple[type[Explicit], tuple[str, ...]]] = {
    kind.__name__: (kind, fields)
    for kind, fields in {
        Euclidean: ("n",),
        Sphere: ("n", "curvature"),
        Hyperbolic: ("n", "curvature"),
        ConstantCurvature: ("n", "curvature"),
        Torus: ("n", "radii"),
        Scaled: ("space", "s"),
        Product: ("factors", "p"),
    }.items()
}


def described(space: Explicit) -> dict[str, Any]:
    """An explicit space as a JSON object, which `from_description` reads; learned curvatures and scales by their values.

    Raises: `OptionError` for spaces that the library does not know.

    >>> described(Scaled(Sphere(2), 3.0))
    {'kind': 'Scaled', 'space': {'kind': 'Sphere', 'n': 2, 'curvature': 1.0}, 's': 3.0}
    """
    name = type(space).__name__
    if KINDS.get(name, (None,))[0] is not type(space):
        raise OptionError(f"explicit spaces of the library can be written down, {', '.join(KINDS)}; got {space!r}.")
    return {"kind": name} | {field: _field(space, field) for field in KINDS[name][1]}


def from_description(data: Any) -> Explicit:
    """Inverse of `described`.

    Raises: `OptionError` for anything else.

    >>> from_description({"kind": "Product", "factors": [{"kind": "Sphere", "n": 2}, {"kind": "Euclidean", "n": 1}]})
    Product(Sphere(n=2, curvature=1.0), Euclidean(n=1))
    """
    kind, fields = KINDS.get(str(data.get("kind")), (None, ())) if isinstance(data, Mapping) else (None, ())
    if kind is None or not set(data) <= {"kind", *fields}:
        raise OptionError(f'an explicit space is written as {{"kind": one of {", ".join(KINDS)}, ...}}; got {data!r:.200}.')
    given: dict[str, Any] = {field: data[field] for field in fields if field in data}
    try:
        if kind is Product:
            return Product(*(from_description(one) for one in given["factors"]), p=given.get("p", 2))
        if kind is Scaled:
            return Scaled(from_description(given["space"]), given["s"])
        return kind(**given)
    except (TypeError, KeyError, OverflowError, MemoryError) as error:
        raise OptionError(f"{data!r:.200} does not describe an explicit space: {error}.") from error


def _written(value: Any) -> Any:
    if isinstance(value, Explicit):
        return described(value)
    if isinstance(value, tuple | list):
        return [_written(one) for one in value]
    return float(value.detach()) if isinstance(value, Tensor) else value


def _field(space: Explicit, name: str) -> Any:
    """As JSON has it: dimensions and exponents whole, all other numbers with a point."""
    value = _written(getattr(space, name))
    return int(value) if name in ("n", "p") else float(value) if isinstance(value, int) else value
