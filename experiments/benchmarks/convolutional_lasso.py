"""Convolutional lasso of a photograph by 32 filters of 8 x 8 pixels, periodic, against SPORCO.

The photograph has 256 x 256 pixels and no low frequencies; the filters are random directions. All reach the
same objective up to 1e-4, SPORCO with its sparse variable, the one that meets the constraint. It stops at the
relative residuals that take it there, ours at a duality gap.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster

SPORCO = "sporco cbpdn"
SIZE = 256
SMOOTH = 5.0
"""Weight of the squared gradient in the smooth part that is subtracted."""
TOLERANCE = 0.02
"""Duality gap, relative, at which ours is some 5e-5 above the least objective: the gap is a bound."""
RESIDUAL = 1.5e-3
"""Relative residuals at which SPORCO is as far above it."""
CASES = [
    Case("256 x 256, 32 filters", {"penalty": 0.05}, [faster(3.0, than=SPORCO, aim=6.0)], tolerance=1e-4)
]


def problem() -> tuple[np.ndarray, np.ndarray]:
    """Filters (height, width, atoms), and the photograph without its low frequencies."""
    from jaxtheory.data import images

    filters = np.random.default_rng(0).standard_normal((8, 8, 32))
    filters /= np.linalg.norm(filters, axis=(0, 1))
    x = images.load("camera", gray=True)
    x = x[: 2 * SIZE, : 2 * SIZE].reshape(SIZE, 2, SIZE, 2).mean((1, 3))
    down, across = (
        4 * np.sin(np.pi * np.fft.fftfreq(SIZE)) ** 2,
        4 * np.sin(np.pi * np.fft.rfftfreq(SIZE)) ** 2,
    )
    slopes = down[:, None] + across
    sharp = np.fft.irfft2(np.fft.rfft2(x) * SMOOTH * slopes / (1 + SMOOTH * slopes), s=x.shape)
    return np.float32(filters), np.float32(sharp)


def ours(penalty: float) -> Callable[[], Any]:
    """The lasso of this package."""
    import jax

    from jaxtheory.sparse import convolutional

    filters, x = jax.device_put(problem())
    solve = partial(convolutional.lasso, filters[:, :, None], x[..., None], penalty, tolerance=TOLERANCE)
    return lambda: solve().objective


def sporco(penalty: float) -> Callable[[], np.ndarray]:
    """SPORCO's alternating direction method on the codes."""
    from sporco.admm import cbpdn

    filters, x = problem()
    spectra = np.fft.rfft2(filters, s=x.shape, axes=(0, 1))
    options = {"Verbose": False, "MaxMainIter": 500, "RelStopTol": RESIDUAL}

    def run() -> np.ndarray:
        solver = cbpdn.ConvBPDN(filters, x, penalty, cbpdn.ConvBPDN.Options(options), dimK=0)
        solver.solve()
        codes = solver.Y.reshape(*x.shape, -1)
        synthesis = np.fft.irfft2(np.sum(spectra * np.fft.rfft2(codes, axes=(0, 1)), -1), s=x.shape)
        return np.sum((synthesis - x) ** 2) / 2 + penalty * np.abs(codes).sum()

    return run


CONTESTANTS = {"jaxtheory": Contestant("ours", ours), SPORCO: Contestant("peer", sporco)}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our program, for compilation ahead of time."""
    import jax

    from jaxtheory.sparse import convolutional

    shapes = (jax.ShapeDtypeStruct(shape, np.float32) for shape in ((8, 8, 1, 32), (SIZE, SIZE, 1), ()))
    return {"lasso": (jax.jit(partial(convolutional.lasso, tolerance=TOLERANCE)), tuple(shapes))}
