"""FISTA as one Mosaic kernel: the Gram matrix and a block of codes stay on the chip for all steps.

Atoms are padded to the width of a tile, signals to whole blocks; codes of padding stay zero.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from jaxtheory.kernels.fista.reference import extrapolate, shrink

ATOMS = 1024
"""The most atoms: their Gram matrix takes 4 MiB, and as much again where it is read into."""
LANES, SUBLANES = 128, 8
"""Columns and rows of a tile of float32."""
MEMORY = 64 << 20
"""Bytes of the chip's vector memory that a kernel may take, half of what v5e and v6e have."""


def padded_atoms(atoms: int) -> int:
    """Atoms with those of padding."""
    return -(-atoms // LANES) * LANES


def block_size(signals: int) -> int:
    """Signals of a block."""
    return min(256, max(1, -(-signals // SUBLANES)) * SUBLANES)


def bytes_moved(signals: int, atoms: int, *, penalties: int = 1) -> int:
    """Bytes of the operands and results of all grid blocks, with one penalty or one a signal."""
    width, block = padded_atoms(atoms), block_size(signals)
    blocks = -(-signals // block)
    # The Gram matrix, correlations and codes, a row of step sizes, and the penalties.
    return 4 * blocks * width * (width + 2 * block + 1 + (1 if penalties == 1 else block))


def _kernel(
    gram: Any,
    correlations: Any,
    scale: Any,
    threshold: Any,
    codes: Any,
    point: Any,
    *,
    steps: int,
    nonnegative: bool,
) -> None:
    """All steps for one block of codes, on references to the chip's memory."""
    codes[...] = jnp.zeros_like(codes)
    point[...] = jnp.zeros_like(point)

    def step(_: Array, t: Array) -> Array:
        image = jnp.dot(
            point[...],
            gram[...],
            precision=lax.Precision.HIGHEST,
            preferred_element_type=jnp.float32,
        )
        target = point[...] - scale[...] * (image - correlations[...])
        new = shrink(target, threshold[...], nonnegative=nonnegative)
        point[...], t = extrapolate(new, codes[...], t)
        codes[...] = new
        return t

    # One number, as a tile's corner: a vector has a square root, a scalar has none.
    lax.fori_loop(0, steps, step, jnp.ones((1, 1), jnp.float32))


@partial(jax.jit, static_argnames=("steps", "nonnegative"))
def gram_fista(
    gram: Array, correlations: Array, penalty: Array, step_size: Array, *, steps: int, nonnegative: bool
) -> Array:
    """Computes what `reference.gram_fista` does, in float32.

    Args:
        gram: The Gram matrix.
        correlations: The inner products of signals and atoms.
        penalty: The penalty, which broadcasts to the codes.
        step_size: One number.
        steps: The number of steps.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        The codes after the last step.

    Raises:
        NotImplementedError: For another dtype or more atoms than fit.
    """
    atoms = len(gram)
    if correlations.dtype != np.float32 or atoms > ATOMS:
        raise NotImplementedError(
            f"the kernel takes float32 and up to {ATOMS} atoms, found {correlations.dtype} and {atoms}: use "
            "implementation='reference'"
        )
    rows = correlations.reshape(-1, atoms)
    signals, width = len(rows), padded_atoms(atoms)
    block = block_size(signals)
    spare = -signals % block

    def wide(array: Array, more: int) -> Array:
        return jnp.pad(array, ((0, more), (0, width - atoms)))

    shared = all(size == 1 for size in penalty.shape[:-1])
    threshold = step_size * penalty
    if shared:
        threshold = jnp.broadcast_to(threshold.reshape(-1), (1, atoms))
    else:
        threshold = jnp.broadcast_to(threshold, correlations.shape).reshape(-1, atoms)
    rows_of = pl.BlockSpec((block, width), lambda i: (i, 0))
    row, whole = (pl.BlockSpec((rows, width), lambda _: (0, 0)) for rows in (1, width))
    codes = pl.pallas_call(
        partial(_kernel, steps=steps, nonnegative=nonnegative),
        grid=((signals + spare) // block,),
        in_specs=[whole, rows_of, row, row if shared else rows_of],
        out_specs=rows_of,
        out_shape=jax.ShapeDtypeStruct((signals + spare, width), np.float32),
        scratch_shapes=[pltpu.VMEM((block, width), np.float32)],
        compiler_params=pltpu.CompilerParams(vmem_limit_bytes=MEMORY),
        cost_estimate=pl.CostEstimate(
            flops=2 * steps * (signals + spare) * width**2,
            bytes_accessed=bytes_moved(signals, atoms, penalties=1 if shared else signals),
            transcendentals=0,
        ),
        name="fista",
    )(
        wide(gram, width - atoms),
        wide(rows, spare),
        jnp.broadcast_to(step_size, (1, width)),
        wide(threshold, 0 if shared else spare),
    )
    return codes[:signals, :atoms].reshape(correlations.shape)
