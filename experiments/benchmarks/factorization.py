"""Factors of long filters: a random filter as a product of filters of three taps, by roots in Leja's order.

The peer, SciPy's `zpk2sos`, pairs the roots of a filter into sections of second degree for digital filtering.
Its order is not meant for multiplying the sections out again, so that times alone are compared, with the same
roots from NumPy. Our time includes the check that the product is the filter to 1e-10 of its largest tap.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, within

CASES = [
    Case("257 taps", {"taps": 257}, [within(1.0), within(1.0, "steady")]),
    Case("1,025 taps", {"taps": 1025}),
]


def random_filter(taps: int) -> np.ndarray:
    """A filter of standard normal taps."""
    return np.random.default_rng(0).standard_normal(taps)


def ours(taps: int) -> Callable[[], np.ndarray]:
    """The factors of this package; a residual above 1e-10 is an error."""
    from jaxtheory.approximation import factorization

    found = random_filter(taps)

    def run() -> np.ndarray:
        factors = factorization.factorize(found, 2)
        if (error := factorization.residual(found, factors)) > 1e-10:
            raise ValueError(f"the factors miss the filter by {error:.1e} of its largest tap")
        return factors

    return run


def scipy_sections(taps: int) -> Callable[[], np.ndarray]:
    """SciPy's pairing of roots, nearest ones together."""
    from scipy.signal import zpk2sos

    found = random_filter(taps)

    def run() -> np.ndarray:
        # The filter as a polynomial in 1/z; poles at zero make it causal.
        return zpk2sos(np.roots(found), np.zeros(taps - 1), found[0])

    return run


def roots_alone(taps: int) -> Callable[[], np.ndarray]:
    """The roots, of which everything is made."""
    return partial(np.roots, random_filter(taps))


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "scipy zpk2sos": Contestant("peer", scipy_sections),
    "roots alone": Contestant("limit", roots_alone),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our program, for compilation ahead of time: the network of a dense layer, 64 inputs and 16 neurons."""
    import jax

    from jaxtheory.approximation import factorization

    make = partial(factorization.init, inputs=64, s=2, layers=(512,), strides=(64,))
    network = jax.eval_shape(make, jax.random.key(0))
    return {
        "200 digits, 512 layers": (
            factorization.apply,
            (network, jax.ShapeDtypeStruct((200, 64), np.float32)),
        )
    }
