"""The lasso of one image by the alternating direction method of multipliers (ADMM) on its dual problem.

The dual is to maximize `<x, u> - |u|^2 / 2` over images `u` whose inner products with the atoms are at most
the penalty; the codes are the multipliers of that constraint. A step solves for `u`, which in the Fourier
domain is one small system a frequency on a single image; the codes meet one analysis, one shrinkage and one
synthesis. A mask is a channel of its own: the infimal convolution of `|r|^2 / 2` with `m^2 / (1 - m^2)
|free|^2 / 2` is `|m r|^2 / 2`. A zero boundary is a mask on a larger torus.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxtheory.sparse.convolutional.plan import Plan
from jaxtheory.sparse.proximal import nonnegative_soft_threshold, soft_threshold

CHECK = 10
"""The number of steps between two looks at the duality gap, each of which costs half a step."""

RELAXATION = 1.8
"""The over-relaxation of a step, below 2."""

GROWTH, PATIENCE = 3.0, 50
"""Rho aims at the balanced one in the beginning, and at `GROWTH` times that after twice `PATIENCE` steps."""


class State(NamedTuple):
    """The iteration: codes and dual image, both over-relaxed, and the best codes found."""

    z: Array  # (atoms, H, W)
    free: Array | None  # (channels, grid) what the mask lets the residual take for nothing
    u: Array  # (channels, grid) dual image
    sum: Array  # (channels, grid) synthesis of z, and free
    rho: Array  # () size of the steps of z
    latest: Array  # () objective of the last codes that were looked at
    codes: Array  # (atoms, H, W) the best codes, not relaxed, which are sparse
    objective: Array  # () of these
    gap: Array  # () of these
    steps: Array  # ()


class Problem(NamedTuple):
    """What the lasso of one image is made of, all in the scale of `penalized`."""

    filters: Array  # (height, width, channels, atoms)
    spectra: Array | None  # (channels, atoms, frequencies)
    gram: tuple[Array, Array | None]  # as `gram` gives it
    image: Array  # (channels, H, W)
    mask: Array | None  # (channels, H, W)
    penalty: Array  # (atoms, 1, 1)


def gram(plan: Plan, filters: Array) -> tuple[Array, Array | None]:
    """D D^T on the torus by frequencies: its eigenvalues, and its eigenvectors if channels are several."""
    spectra = plan.transform(filters)
    if plan.channels == 1:
        return jnp.sum(spectra.real**2 + spectra.imag**2, 1), None
    matrices = jnp.einsum("ckhw,ekhw->hwce", spectra, jnp.conj(spectra), precision="highest")
    values, vectors = jnp.linalg.eigh(matrices)
    return jnp.maximum(values, 0), vectors


def solve(
    plan: Plan, problem: Problem, tolerance: Array, max_steps: Array | int, *, nonnegative: bool
) -> State:
    """Iterate until the gap is at most the tolerance times the objective, or the steps are used up.

    Args:
        plan: The static facts.
        problem: The image, and what it is coded with.
        tolerance: The largest gap, relative to the objective.
        max_steps: The largest number of steps.
        nonnegative: Whether codes must be nonnegative.

    Returns:
        The last state, whose codes have no larger objective than codes of zero.
    """
    filters, spectra, (values, vectors), image, mask, penalty = problem
    shrink = nonnegative_soft_threshold if nonnegative else soft_threshold
    weights = plan.embed(jnp.ones_like(image) if mask is None else mask)
    masked = mask is not None or not plan.periodic
    power = weights**2
    x = plan.embed(image)
    free_of_charge = penalty <= 0
    energies = jnp.sum(filters**2, axis=(0, 1, 2))[:, None, None]

    def metric(r: Array, rho: Array) -> Array:
        """Applies the inverse of 1 + rho D D^T, D with the mask's channel."""
        hat = jnp.fft.rfft2(r)
        divisor = 1 + rho * (values + 1 if masked else values)
        if vectors is None:
            return jnp.fft.irfft2(hat / divisor, s=plan.grid)
        hat = jnp.einsum("hwce,chw->hwe", jnp.conj(vectors), hat, precision="highest") / divisor
        return jnp.fft.irfft2(jnp.einsum("hwce,hwe->chw", vectors, hat, precision="highest"), s=plan.grid)

    def step(state: State) -> tuple[State, Array, Array, Array]:
        rho, products = state.rho, plan.correlate(filters, spectra, state.u)
        z = shrink(state.z + rho * products, rho * penalty)
        synthesis = plan.spread(filters, spectra, z)
        free, total = None, synthesis
        if masked:
            free = (state.free + rho * state.u) * (1 - power) / (1 - power + rho * power)
            total = synthesis + free
        u = state.u + metric(x - state.u - (2 * total - state.sum), rho)
        old = (state.z, state.free, state.u, state.sum)
        relaxed = jax.tree.map(lambda a, b: a + RELAXATION * (b - a), old, (z, free, u, total))
        return state._replace(**dict(zip(("z", "free", "u", "sum"), relaxed))), z, synthesis, products

    def measure(z: Array, synthesis: Array) -> tuple[Array, Array, Array, Array]:
        """Objective, duality gap, the products with the residual, and what makes it feasible in the dual."""
        # Both figures are sums of terms that are nowhere negative. Scaled, no product exceeds its price: the
        # penalty, or, where there is none, the largest product of an atom without one. Then the gap is that
        # to the least objective, provided that codes are as large there as here; what codes without a penalty
        # may still gain is added, as far as it is known from their products.
        residual = x - synthesis
        products = plan.correlate(filters, spectra, power * residual)
        pull = jnp.maximum(products, 0) if nonnegative else jnp.abs(products)
        size = jnp.max(pull, (1, 2), keepdims=True)
        gain = jnp.sum(pull**2, (1, 2), keepdims=True) / (2 * jnp.where(energies > 0, energies, 1))
        beyond = jnp.max(jnp.where(free_of_charge, size, 0))
        price = jnp.where(free_of_charge, beyond, penalty)
        scale = 1 / jnp.maximum(1, jnp.max(size / jnp.where(price > 0, price, jnp.inf)))
        fit = jnp.sum(power * residual**2) / 2
        # An atom's term is zero where its product has the price's size and its code's sign.
        slack = jnp.sum(jnp.maximum(price * jnp.abs(z) - scale * z * products, 0))
        gap = fit * (1 - scale) ** 2 + slack + jnp.sum(jnp.where(free_of_charge, gain, 0))
        return fit + jnp.sum(penalty * jnp.abs(z)), gap, products, scale

    zeros = jnp.zeros((plan.atoms, *plan.shape), x.dtype)
    at_zero, gap, first, shorter = measure(zeros, jnp.zeros_like(x))
    state = State(
        z=zeros,
        free=jnp.zeros_like(x) if masked else None,
        u=shorter * power * x,
        sum=jnp.zeros_like(x),
        rho=0.5 / jnp.maximum(jnp.max(energies), jnp.finfo(x.dtype).tiny),
        latest=at_zero,
        codes=zeros,
        objective=at_zero,
        gap=gap,
        steps=jnp.zeros((), int),
    )

    def unfinished(state: State) -> Array:
        return (state.gap > tolerance * state.objective) & (state.steps < max_steps)

    def advance(state: State) -> State:
        count = jnp.minimum(CHECK, max_steps - state.steps)
        state = lax.fori_loop(0, count - 1, lambda _, now: step(now)[0], state)
        state, codes, synthesis, latest = step(state)
        objective, gap, *_ = measure(codes, synthesis)
        better = (objective < state.objective) | ((gap <= tolerance * objective) & (objective <= at_zero))
        # Steps are balanced by how far codes and products have come, both from where they began; on the
        # support, products end at the penalty.
        steps = state.steps + count
        way = jnp.linalg.norm(latest - shorter * first)
        way = jnp.maximum(way, jnp.linalg.norm(jnp.where(codes != 0, penalty, 0)))
        target = jnp.linalg.norm(state.z) / way * jnp.minimum(GROWTH, 1 + steps.astype(x.dtype) / PATIENCE)
        usable = (way > 0) & (target > 0)
        rho = jnp.where(usable, jnp.sqrt(state.rho * target), state.rho)
        # Longer steps after the objective rose would let it rise for ever.
        rho = jnp.where(objective > state.latest, jnp.minimum(rho, state.rho), rho)
        return state._replace(
            rho=rho,
            latest=objective,
            codes=jnp.where(better, codes, state.codes),
            objective=jnp.where(better, objective, state.objective),
            gap=jnp.where(better, gap, state.gap),
            steps=steps,
        )

    return lax.while_loop(unfinished, advance, state)
