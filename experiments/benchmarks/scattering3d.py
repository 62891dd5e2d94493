"""Scattering of densities, forward and with the gradient of a projection, against Kymatio and bare products.

Densities are random, in single precision. The gradient is that of a fixed random projection of the
coefficients with respect to the densities. The limit is made of the matrix products that the same
coefficients need here, of the same shapes and numbers, and nothing else; reverse mode needs them twice.
Kymatio gives no order 0, and so none is compared. Its NumPy form has no gradient, and its eager JAX form is
not timed at it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.experiments.benchmarks.scattering2d import (
    JITTED,
    NUMPY,
    TORCH,
    beside_kymatio,
    of_kymatio,
    slope,
)
from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

POWERS = (0.5, 1.0, 2.0)
SMALLEST = 32
"""The side of the densities whose gradient is compiled ahead of time."""
SIZES = {
    "4 x 32^3, J = 2, L = 3": {"number": 4, "size": 32, "J": 2, "L": 3},
    "1 x 64^3, J = 2, L = 2": {"number": 1, "size": 64, "J": 2, "L": 2},
}
PEERS = (JITTED, "kymatio jax", TORCH, NUMPY)
STEADY = {
    "4 x 32^3, J = 2, L = 3": [
        faster(1.4, than=JITTED, aim=1.5),
        *(faster(1.4, than=one) for one in PEERS[1:]),
    ],
    "1 x 64^3, J = 2, L = 2": [
        faster(1.1, than=JITTED, aim=2.0),
        *(faster(1.1, than=one) for one in PEERS[1:]),
    ],
}
START = faster(1 / 1.3, than=JITTED, quantity="first call")
"""A first call may take 1.3 times as long."""
CASES = [
    *(
        Case(f"{size}, forward", {**options, "gradient": False}, [*STEADY[size], START], tolerance=1e-5)
        for size, options in SIZES.items()
    ),
    *(
        # The modulus's derivative turns where a response is near zero, at rounding's mercy.
        Case(f"{size}, gradient", {**options, "gradient": True}, [faster(2.5, than=TORCH)], tolerance=1e-3)
        for size, options in SIZES.items()
    ),
]


def densities(number: int, size: int) -> np.ndarray:
    """The densities that every contestant transforms."""
    return np.random.default_rng(0).random((number, size, size, size), np.float32)


def projection(number: int, J: int, L: int) -> np.ndarray:
    """What the coefficients are projected on before they are differentiated."""
    channels = J + 1 + J * (J + 1) // 2
    return np.random.default_rng(1).standard_normal((number, channels, L + 1, len(POWERS)), np.float32)


def coefficients(bank: Any, x: Any) -> Any:
    """The coefficients of this package in the shape of Kymatio's."""
    from jaxtheory.harmonic import scattering3d

    s = scattering3d.scatter(bank, x, POWERS)[..., 1:, :]
    return s.reshape(*s.shape[:-2], -1, bank.L + 1, len(POWERS))


def ours(number: int, size: int, J: int, L: int, *, gradient: bool) -> Callable[[], Any]:
    """The transform of this package."""
    import jax

    from jaxtheory.harmonic import scattering3d

    bank, x = jax.device_put((scattering3d.filter_bank((size,) * 3, J, L), densities(number, size)))
    if gradient:
        return partial(slope(coefficients), bank, x, jax.device_put(projection(number, J, L)))
    return partial(jax.jit(coefficients), bank, x)


def kymatio(
    number: int, size: int, J: int, L: int, *, gradient: bool, frontend: str, jit: bool = False
) -> Any:
    """Kymatio's transform with one of its frontends."""
    x, v = densities(number, size), projection(number, J, L) if gradient else None
    options = {"J": J, "shape": (size,) * 3, "L": L, "integral_powers": POWERS}
    return of_kymatio("HarmonicScattering3D", options, x, v, frontend=frontend, jit=jit)


def products(size: int, J: int, L: int) -> list[tuple[Any, Any, int]]:
    """The products of a density's transform: waves before and after along the axes, and how many fields."""
    from jaxtheory.harmonic import scattering3d
    from jaxtheory.harmonic.scattering3d import responses

    bank = scattering3d.filter_bank((size,) * 3, J, L)
    smallest = float(np.finfo(np.float32).eps)
    scales = [responses.on_waves(bank, j, responses.grid(bank, j, smallest)) for j in range(J + 1)]
    sizes = [tuple(axis.number for axis in one.axes) for one in scales]
    whole = (size,) * 3
    found = [(whole, sizes[0], 1)]
    for j, one in enumerate(scales):
        found.append((sizes[j], whole, len(one.fields)))
        if j < J:
            found.append((whole, sizes[j + 1], L + 1))
        found += [(sizes[k], whole, len(scales[k].fields)) for k in range(j + 1, J + 1)]
    return found


def bare(number: int, size: int, J: int, L: int, *, gradient: bool) -> Callable[[], Any]:
    """The matrix products alone, density by density."""
    import jax

    from jaxtheory.harmonic.scattering3d import responses

    needed = products(size, J, L)
    rng = np.random.default_rng(0)
    shapes = {(before, fields) for before, _, fields in needed}
    inputs = {
        (before, fields): rng.standard_normal((number, *before[:2], fields, 1, before[2]), np.float32)
        for before, fields in shapes
    }
    pairs = {(before, after) for before, after, _ in needed}
    matrices = {
        (before, after): [rng.standard_normal((b, a), np.float32) for b, a in zip(after, before)]
        for before, after in pairs
    }

    def of_one(maps: Any, matrices: Any) -> Any:
        total = 0.0
        for before, after, fields in needed:
            x = maps[before, fields]
            first, second, third = matrices[before, after]
            # Without what was added, equal products would be done once.
            y = responses.multiplied(x + total, first, second, third.T)
            total += y[0, 0, 0, 0, 0] * 1e-9
            if gradient:
                first, second, third = matrices[after, before]
                x = responses.multiplied(y, first, second, third.T)
                total += x[0, 0, 0, 0, 0] * 1e-9
        return total

    if gradient:
        matrices |= {
            (after, before): [one.T.copy() for one in matrices[before, after]] for before, after in pairs
        }
    program = jax.jit(lambda maps, matrices: jax.lax.map(lambda one: of_one(one, matrices), maps))
    return partial(program, *jax.device_put((inputs, matrices)))


CONTESTANTS = beside_kymatio(ours, kymatio) | {"bare products": Contestant("limit", bare)}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our program, for compilation ahead of time: the gradient of the smaller densities, forward and back."""
    import jax

    from jaxtheory.harmonic import scattering3d

    [(name, options)] = [(name, one) for name, one in SIZES.items() if one["size"] == SMALLEST]
    number, size, J, L = (options[key] for key in ("number", "size", "J", "L"))
    bank = jax.eval_shape(partial(scattering3d.filter_bank, (size,) * 3, J, L))
    x = jax.ShapeDtypeStruct((number, size, size, size), np.float32)
    v = jax.ShapeDtypeStruct(projection(number, J, L).shape, np.float32)
    return {f"{name}, gradient": (slope(coefficients), (bank, x, v))}


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    from jaxtheory.harmonic import scattering3d

    number, size, J, L = 2, 12, 1, 2
    bank, x = scattering3d.filter_bank((size,) * 3, J, L), densities(number, size)
    return {
        f"{number} x {size}^3, J = {J}, L = {L}, forward": Check(scattering3d.scatter, (bank, x)),
        # The modulus's derivative turns where a response is near zero, at rounding's mercy.
        f"{number} x {size}^3, J = {J}, L = {L}, gradient": Check(
            slope(coefficients), (bank, x, projection(number, J, L)), tolerance=1e-3
        ),
    }
