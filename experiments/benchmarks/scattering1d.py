"""Scattering of signals, forward and with the gradient of a projection, against Kymatio and the bare FFTs.

Signals are random, in single precision. The gradient is that of a fixed random projection of the coefficients
with respect to the signals. The limit is made of the Fourier transforms that the same coefficients need here,
of the same lengths and numbers, some signals at a time, and nothing else; reverse mode needs them twice.
Kymatio's NumPy form has no gradient, and its eager JAX form is not timed at it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
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

CACHE = 400_000
"""Samples of first-order responses that a processor works on at a time."""
SMALLEST, LARGEST = 1024, 65_536
"""The lengths of the signals of which the gradient, and the coefficients, are compiled ahead of time."""
SIZES = {
    "16 x 8192, J = 6, Q = 16": {"number": 16, "length": 8192, "J": 6, "Q": 16},
    "4 x 65536, J = 10, Q = 8": {"number": 4, "length": 65536, "J": 10, "Q": 8},
    "128 x 1024, J = 5, Q = 8": {"number": 128, "length": 1024, "J": 5, "Q": 8},
}
STEADY = {
    "16 x 8192, J = 6, Q = 16": faster(1.05, than=JITTED, aim=1.3),
    "4 x 65536, J = 10, Q = 8": faster(1.2, than=JITTED),
    "128 x 1024, J = 5, Q = 8": faster(1.5, than=JITTED),
}
START = faster(1 / 1.3, than=JITTED, quantity="first call")
"""A first call may take 1.3 times as long."""
SHIPPED = [faster(2.5, than=NUMPY), faster(2.5, than=TORCH)]
CASES = [
    *(
        Case(
            f"{size}, forward",
            {**options, "gradient": False},
            [STEADY[size], *SHIPPED, START],
            tolerance=1e-5,
        )
        for size, options in SIZES.items()
    ),
    *(
        # The modulus's derivative turns where a response is near zero, at rounding's mercy.
        Case(f"{size}, gradient", {**options, "gradient": True}, [faster(2.5, than=TORCH)], tolerance=1e-3)
        for size, options in SIZES.items()
    ),
]


def signals(number: int, length: int) -> np.ndarray:
    """The signals that every contestant transforms."""
    return np.random.default_rng(0).standard_normal((number, length), np.float32)


def projection(number: int, length: int, J: int, Q: int) -> np.ndarray:
    """What the coefficients are projected on before they are differentiated."""
    from jaxtheory.harmonic import scattering1d

    channels = len(scattering1d.paths(scattering1d.filter_bank(2**J, J, Q)))
    return np.random.default_rng(1).standard_normal((number, channels, length >> J), np.float32)


def ours(number: int, length: int, J: int, Q: int, *, gradient: bool) -> Callable[[], Any]:
    """The transform of this package."""
    import jax

    from jaxtheory.harmonic import scattering1d

    bank, x = jax.device_put((scattering1d.filter_bank(length, J, Q), signals(number, length)))
    if gradient:
        return partial(slope(scattering1d.scatter), bank, x, jax.device_put(projection(number, length, J, Q)))
    return partial(scattering1d.scatter, bank, x)


def kymatio(
    number: int, length: int, J: int, Q: int, *, gradient: bool, frontend: str, jit: bool = False
) -> Any:
    """Kymatio's transform with one of its frontends."""
    x, v = signals(number, length), projection(number, length, J, Q) if gradient else None
    return of_kymatio("Scattering1D", {"J": J, "shape": length, "Q": Q}, x, v, frontend=frontend, jit=jit)


def transforms(length: int, J: int, Q: int) -> Counter[tuple[int, bool]]:
    """The Fourier transforms of one signal: how many of what length, of real signals or of complex ones."""
    from jaxtheory.harmonic import scattering1d

    bank = scattering1d.filter_bank(length, J, Q)
    needed = Counter({(bank.grid, False): 1})
    for path in scattering1d.paths(bank)[1:]:
        # There from the response's frequencies, and back from its modulus for what follows.
        needed[bank.grid >> path.scales[-1], False] += 1
        needed[bank.grid >> path.scales[-1], True] += 1
    return needed


def bare(number: int, length: int, J: int, Q: int, *, gradient: bool) -> Callable[[], Any]:
    """The Fourier transforms alone, one batch for each length."""
    import jax
    import jax.numpy as jnp

    needed = transforms(length, J, Q)
    samples = sum(size * many for (size, real), many in needed.items() if not real)
    chunk = min(number, max(1, CACHE // samples))

    def of_chunk(maps: Mapping[tuple[int, bool], Any]) -> Any:
        total = 0.0
        for (_, real), x in maps.items():
            for _ in range(2 if gradient else 1):
                x = jnp.fft.rfft(x) if real else jnp.fft.ifft(x + 0j)
                total += x.ravel()[0].real
                x = jnp.fft.irfft(x) if real else x.real
        return total

    rng = np.random.default_rng(0)
    maps = {
        (size, real): rng.standard_normal((-(-number // chunk), chunk, many, size), np.float32)
        for (size, real), many in needed.items()
    }
    return partial(jax.jit(lambda maps: jax.lax.map(of_chunk, maps)), jax.device_put(maps))


CONTESTANTS = beside_kymatio(ours, kymatio) | {"bare FFTs": Contestant("limit", bare)}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time: the longest forward, the shortest's gradient."""
    import jax

    from jaxtheory.harmonic import scattering1d

    named = {}
    for name, case in ((case.name, case.options) for case in CASES):
        number, length, J, Q = (case[key] for key in ("number", "length", "J", "Q"))
        bank = jax.eval_shape(partial(scattering1d.filter_bank, length, J, Q))
        x = jax.ShapeDtypeStruct((number, length), np.float32)
        if length == LARGEST and not case["gradient"]:
            named[name] = (jax.jit(scattering1d.scatter), (bank, x))
        elif length == SMALLEST and case["gradient"]:
            v = jax.ShapeDtypeStruct(projection(number, length, J, Q).shape, np.float32)
            named[name] = (slope(scattering1d.scatter), (bank, x, v))
    return named


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    from jaxtheory.harmonic import scattering1d

    number, length, J, Q = 4, 256, 4, 4
    bank, x = scattering1d.filter_bank(length, J, Q), signals(number, length)
    return {
        f"{number} x {length}, J = {J}, Q = {Q}, forward": Check(scattering1d.scatter, (bank, x)),
        # The modulus's derivative turns where a response is near zero, at rounding's mercy.
        f"{number} x {length}, J = {J}, Q = {Q}, gradient": Check(
            slope(scattering1d.scatter), (bank, x, projection(number, length, J, Q)), tolerance=1e-3
        ),
    }
