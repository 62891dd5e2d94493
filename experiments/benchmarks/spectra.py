"""Scattering spectra of images against the wavelet phase harmonics of PyWPH, and the bare FFTs.

Images are random, in single precision. Both are second and fourth moments of the responses of wavelets at
five scales and four angles and of their moduli, each with its own wavelets and its own list of moments, so
that results are not compared: 4,041 real numbers here, 269 complex ones in PyWPH's default set, which has one
thread. The limit is made of the Fourier transforms that the spectra need, an image at a time, and nothing
else.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

SIZE = {"number": 8, "size": 256, "J": 5, "L": 4}
NAME = "8 x 256 x 256, J = 5, L = 4"
PEER = "pywph"
CASES = [Case(NAME, SIZE, [faster(5.0, than=PEER, aim=10.0)])]


def images(number: int, size: int) -> np.ndarray:
    """The images that every contestant describes."""
    return np.random.default_rng(0).standard_normal((number, size, size), np.float32)


def numbers(bank: Any, x: Any) -> Any:
    """The spectra of images in one array."""
    from jaxtheory.harmonic import spectra

    return spectra.flatten(spectra.estimate(bank, x))


def ours(number: int, size: int, J: int, L: int) -> Callable[[], Any]:
    """The spectra of this package."""
    import jax

    from jaxtheory.harmonic import spectra

    bank, x = jax.device_put((spectra.filter_bank((size, size), J, L), images(number, size)))
    return partial(jax.jit(numbers), bank, x)


def pywph(number: int, size: int, J: int, L: int) -> Callable[[], Any]:
    """Wavelet phase harmonics, the default set."""
    import pywph
    import torch

    transform = pywph.WPHOp(size, size, J, L=L)
    x = torch.from_numpy(images(number, size))

    def run() -> np.ndarray:
        with torch.no_grad():
            return transform.apply(x).numpy()

    return run


def bare(number: int, size: int, J: int, L: int) -> Callable[[], Any]:
    """The Fourier transforms alone: one of each image, and one back and one there for each wavelet."""
    import jax
    import jax.numpy as jnp

    def of_image(x: Any) -> Any:
        spectrum = jnp.fft.fft2(x)
        total = spectrum[0, 0].real
        for scale in range(J):
            responses = jnp.fft.ifft2(spectrum * (1.0 + scale + np.float32(np.arange(L))[:, None, None]))
            total += jnp.fft.rfft2(responses.real)[0, 0, 0].real
        return total

    return partial(jax.jit(lambda x: jax.lax.map(of_image, x)), jax.device_put(images(number, size)))


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    PEER: Contestant("peer", pywph, threads=(1,), install="pip install --no-deps pywph==1.1.3"),
    "bare FFTs": Contestant("limit", bare),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our program, for compilation ahead of time."""
    import jax

    from jaxtheory.harmonic import spectra

    bank = jax.eval_shape(partial(spectra.filter_bank, (SIZE["size"],) * 2, SIZE["J"], SIZE["L"]))
    x = jax.ShapeDtypeStruct((SIZE["number"], SIZE["size"], SIZE["size"]), np.float32)
    return {NAME: (jax.jit(spectra.estimate), (bank, x))}


def checks() -> dict[str, Check]:
    """A small problem to check devices with."""
    from jaxtheory.harmonic import spectra

    bank = spectra.filter_bank((32, 32), 2, 2)
    return {"4 x 32 x 32, J = 2, L = 2": Check(numbers, (bank, images(4, 32)))}
