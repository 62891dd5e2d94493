"""FISTA with a Gram matrix: a hundred steps for ten thousand signals, as one TPU kernel against a loop.

On a TPU ours is the kernel, which keeps the Gram matrix and a block of codes on the chip; on a processor it
is the loop itself. The kernel's purpose is the bytes that it does not move: with 288 atoms the loop moves
5.8 GB at least, the kernel a fiftieth of that (`loop_bytes`, `kernel_bytes`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.kernels.fista import specs
from jaxtheory.kernels.fista.specs import STEPS, Shape
from jaxtheory.lab.machines.bench import Case, Contestant

CASES = [
    Case(name, {"signals": shape.signals, "atoms": shape.atoms}, tolerance=1e-4)
    for name, shape in specs.SHAPES.items()
]
LOOP = "a step at a time"


def loop_bytes(shape: Shape, steps: int) -> int:
    """Bytes that a loop moves at least: steps times its body.

    The body reads the Gram matrix, reads the point, the correlations and the codes before, and writes codes
    and point, as if the product went straight into the threshold.

    Args:
        shape: The sizes of the problem.
        steps: The number of steps.

    Returns:
        The number of bytes.
    """
    return 4 * steps * (shape.atoms**2 + 5 * shape.signals * shape.atoms)


def kernel_bytes(shape: Shape) -> int:
    """Bytes that the kernel moves: operands and results of each grid block, and what is scaled and padded.

    Before it, Gram matrix and correlations are read and written in their padded size; after it, codes are
    read in that size and written in theirs.

    Args:
        shape: The sizes of the problem.

    Returns:
        The number of bytes.
    """
    from jaxtheory.kernels.fista import tpu

    width, block = tpu.padded_atoms(shape.atoms), tpu.block_size(shape.signals)
    rows = -(-shape.signals // block) * block
    around = shape.atoms**2 + width**2 + 2 * (shape.signals * shape.atoms + rows * width)
    return tpu.bytes_moved(shape.signals, shape.atoms) + 4 * around


def solver(signals: int, atoms: int, implementation: str | None) -> Callable[[], Any]:
    """FISTA of this package."""
    import jax

    from jaxtheory.kernels.fista import api

    operands = jax.device_put([np.float32(one) for one in specs.problem(signals, atoms, atoms // 2)])
    return partial(api.gram_fista, *operands, steps=STEPS, implementation=implementation)


def by_numpy(signals: int, atoms: int) -> Callable[[], np.ndarray]:
    """The same steps in NumPy, in place."""
    gram, correlations, penalty, step_size = (
        np.float32(one) for one in specs.problem(signals, atoms, atoms // 2)
    )
    threshold = step_size * penalty

    def run() -> np.ndarray:
        before, point, image = (np.zeros_like(correlations) for _ in range(3))
        codes, t = np.zeros_like(correlations), 1.0
        for _ in range(STEPS):
            np.matmul(point, gram, out=image)
            image -= correlations
            image *= step_size
            np.subtract(point, image, out=image)
            before, codes = codes, before
            # The soft threshold is what clipping leaves.
            np.clip(image, -threshold, threshold, out=codes)
            np.subtract(image, codes, out=codes)
            after = (1 + np.sqrt(1 + 4 * t**2)) / 2
            np.subtract(codes, before, out=point)
            point *= np.float32((t - 1) / after)
            point += codes
            t = after
        return codes

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", partial(solver, implementation=None)),
    LOOP: Contestant("peer", partial(solver, implementation="reference")),
    "numpy": Contestant("peer", by_numpy),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """The loop, for compilation ahead of time beside the kernel."""
    from jaxtheory.kernels.fista import api

    loop = partial(api.gram_fista, steps=STEPS, implementation="reference")
    return {f"{name}, {LOOP}": (loop, specs.operands(shape)) for name, shape in specs.SHAPES.items()}
