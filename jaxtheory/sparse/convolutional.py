r"""Convolutional sparse coding: an image is a sum of a few small filters, each at a few places.

The model is $x = \sum_k d_k * z_k$ with filters $d_k$ of a few pixels and codes $z_k$ of the image's size,
one map an atom; the lasso over it is $\min_z \frac12 \|m \odot (x - \sum_k d_k * z_k)\|^2 + \lambda \|z\|_1$.
Filters are kernels as Flax keeps them, `(height, width, channels, atoms)`, and `analyze` computes what
`flax.nnx.Conv` computes with them at stride 1 (`padding="CIRCULAR"` or `"SAME"`); `synthesize` is its
adjoint. Signals have filters `(length, channels, atoms)` and one axis less everywhere. The dictionary itself,
a matrix with a column for each atom at each place, is never formed.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxtheory.sparse.proximal import nonnegative_soft_threshold, soft_threshold
from jaxtheory.sparse.pytrees import _registered

Boundary = Literal["circular", "zero"]
Domain = Literal["auto", "spatial", "fourier"]
Values = Float[Array, "..."] | Float[np.ndarray, "..."]
Mask = Bool[Array, "..."] | Bool[np.ndarray, "..."] | Values
Penalty = (
    Float[Array, "#atoms"] | Float[np.ndarray, "#atoms"] | Float[Array, ""] | Float[np.ndarray, ""] | float
)
Number = Float[Array, ""] | Float[np.ndarray, ""] | float

_BLOCK = 1 << 18
"""Numbers in the patches that a processor multiplies at a time: a megabyte, which its cache holds."""
_CHECK = 10
"""Steps between two looks at the duality gap, each of which costs half a step."""
_RELAXATION = 1.8
"""Over-relaxation of a step, below 2."""
_GROWTH, _PATIENCE = 3.0, 50
"""Steps of the codes grow towards so many times the balanced size, by once it in so many iterations."""
_CONJUGATE = 1000
"""Conjugate gradient steps for a derivative or a smooth part, at most."""


@_registered
@dataclass(frozen=True)
class LassoResult:
    """Codes, and how far from the least objective they may be."""

    codes: Any
    """(..., H, W, atoms) or (..., length, atoms)."""
    objective: Any
    """(...,) ½‖m ⊙ (x - Σ d_k * z_k)‖² + λ‖z‖₁."""
    gap: Any
    """(...,) duality gap: the objective exceeds its minimum by no more."""
    steps: Any
    """(...,) steps taken."""
    converged: Any
    """(...,) whether the gap came down to the tolerance; false for an image that holds NaN."""


@_registered
@dataclass(frozen=True)
class Restoration:
    """Images without their noise or with what was missing, and what they are made of."""

    images: Any
    """(..., H, W, channels) or (..., length, channels), the sum of both parts."""
    lowpass: Any
    """The smooth part, of the same shape."""
    codes: LassoResult
    """Of the rest."""


@_registered
@dataclass(frozen=True)
class Learning:
    """Where the learning of filters stands."""

    filters: Any
    """(height, width, channels, atoms) or (length, channels, atoms), atoms of norm 1 at most."""
    rate: Any
    """() size of the next step on the filters, relative to the energy of their codes."""
    objective: Any
    """() mean objective of the last images, before the steps on the filters; infinite at the start."""


class _Plan(NamedTuple):
    """The static facts of a convolution: sizes of image, filters and channels, boundary and domain."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    channels: int
    atoms: int
    periodic: bool
    fourier: bool

    @property
    def grid(self) -> tuple[int, int]:
        """The torus on which convolutions are circular: the image, or the image with room for its filters."""
        if self.periodic:
            return self.size
        return tuple(
            scipy.fft.next_fast_len(n + k - 1, real=True) if n + k > 2 else 1
            for n, k in zip(self.size, self.kernel)
        )


def _check_floating(name: str, value: Any) -> None:
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{name} are real floating-point numbers, got {value.dtype}: convert them")


def _check_filters(filters: Any) -> None:
    _check_floating("filters", filters)
    if filters.ndim not in (3, 4):
        raise ValueError(
            "filters have shape (height, width, channels, atoms) for images or (length, channels, atoms) for "
            f"signals, got {filters.shape}"
        )
    if 0 in filters.shape:
        raise ValueError(f"an axis is empty: filters have shape {filters.shape}")


def _plan(filters: Any, other: Any, boundary: Boundary, domain: Domain, *, codes: bool = False) -> _Plan:
    """Checks shapes and options; `other` holds images, or codes."""
    _check_filters(filters)
    _check_floating("codes" if codes else "images", other)
    space = filters.ndim - 2
    kernel, (channels, atoms) = filters.shape[:space], filters.shape[space:]
    last, name = (atoms, "atoms") if codes else (channels, "channels")
    event = (*(["height", "width"] if space == 2 else ["length"]), name)
    if other.ndim <= space or other.shape[-1] != last:
        raise ValueError(
            f"filters of shape {filters.shape} need {'codes' if codes else 'images'} of shape "
            f"(..., {', '.join(event)}) with {last} {name}, got {other.shape}"
        )
    if 0 in other.shape[-space - 1 :]:
        raise ValueError(f"an axis is empty: {'codes' if codes else 'images'} have shape {other.shape}")
    size = other.shape[-space - 1 : -1]
    if boundary not in ("circular", "zero"):
        raise ValueError(f"boundary is {boundary!r}: take 'circular' or 'zero'")
    if domain not in ("auto", "spatial", "fourier"):
        raise ValueError(f"domain is {domain!r}: take 'auto', 'spatial' or 'fourier'")
    if boundary == "circular" and any(k > n for k, n in zip(kernel, size)):
        raise ValueError(
            f"filters of size {kernel} do not fit on a circular image of size {size}: take smaller filters, "
            "or boundary='zero'"
        )
    size, kernel = (tuple(axes) if space == 2 else (axes[0], 1) for axes in (size, kernel))
    # A product with patches costs so many multiplications a coefficient; the transforms of a map cost as
    # much as some hundred, and their product with the filters' spectra four a channel.
    fourier = math.prod(kernel) * channels > 128 + 32 * channels if domain == "auto" else domain == "fourier"
    return _Plan(size, kernel, channels, atoms, boundary == "circular", fourier)


def _embedded(plan: _Plan, x: Array) -> Array:
    """An image (channels, H, W) on the grid, moved so that a filter's first entry is its anchor."""
    before = [(k - 1) // 2 for k in plan.kernel]
    if plan.periodic:
        return jnp.roll(x, before, (1, 2))
    room = [(p, g - n - p) for p, g, n in zip(before, plan.grid, plan.size)]
    return jnp.pad(x, [(0, 0), *room])


def _extracted(plan: _Plan, u: Array) -> Array:
    """The image on a grid: undoes `_embedded`, and is its adjoint."""
    (p, q), (H, W) = ((k - 1) // 2 for k in plan.kernel), plan.size
    if plan.periodic:
        return jnp.roll(u, (-p, -q), (1, 2))
    return u[:, p : p + H, q : q + W]


def _spectra(plan: _Plan, filters: Array) -> Array:
    """The filters' Fourier transforms on the grid, (channels, atoms, frequencies)."""
    return jnp.fft.rfft2(jnp.moveaxis(filters, (0, 1), (2, 3)), s=plan.grid)


def _rows(plan: _Plan) -> int:
    """Rows of the image whose patches a processor holds at a time."""
    return min(plan.size[0], max(1, _BLOCK // (math.prod(plan.kernel) * plan.channels * plan.size[1])))


def _matrix(plan: _Plan, filters: Array) -> Array:
    """The filters as a matrix (width height channels, atoms), to multiply patches with."""
    return jnp.swapaxes(filters, 0, 1).reshape(-1, plan.atoms)


def _correlated_rows(plan: _Plan, rows: int, filters: Array, u: Array) -> Array:
    (h, w), (H, W) = plan.kernel, plan.size
    blocks = -(-H // rows)
    if plan.periodic:
        u = jnp.pad(u, ((0, 0), (0, h - 1), (0, w - 1)), mode="wrap")
    u = jnp.pad(u[:, : H + h - 1], ((0, 0), (0, blocks * rows - H), (0, 0)))
    columns = jnp.stack([u[..., j : j + W] for j in range(w)])

    def block(start: Array) -> Array:
        part = lax.dynamic_slice_in_dim(columns, start, rows + h - 1, axis=2)
        # Rows outermost but one: what is stacked is copied in long runs.
        patches = jnp.stack([part[:, :, i : i + rows] for i in range(h)], 1)
        return jnp.matmul(
            _matrix(plan, filters).T, patches.reshape(-1, rows * W), precision="highest"
        ).reshape(-1, rows, W)

    if blocks == 1:
        return block(jnp.int32(0))
    parts = lax.map(block, rows * jnp.arange(blocks))
    return jnp.moveaxis(parts, 0, 1).reshape(plan.atoms, -1, W)[:, :H]


def _transposed_rows(plan: _Plan, rows: int, filters: Array, z: Array) -> Array:
    (h, w), (H, W), C = plan.kernel, plan.size, plan.channels
    blocks = -(-H // rows)
    z = jnp.pad(z, ((0, 0), (0, blocks * rows - H), (0, 0)))

    def block(start: Array) -> Array:
        part = lax.dynamic_slice_in_dim(z, start, rows, axis=1).reshape(plan.atoms, -1)
        spread = jnp.matmul(_matrix(plan, filters), part, precision="highest").reshape(w, h, C, rows, W)
        down = sum(jnp.pad(spread[:, i], ((0, 0), (0, 0), (i, h - 1 - i), (0, 0))) for i in range(h))
        return sum(jnp.pad(down[j], ((0, 0), (0, 0), (j, w - 1 - j))) for j in range(w))

    if blocks == 1:
        u = block(jnp.int32(0))
    else:
        parts = jnp.moveaxis(lax.map(block, rows * jnp.arange(blocks)), 0, 1)
        # A block reaches h - 1 rows into those that follow.
        after = -(-(h - 1) // rows) * rows
        parts = jnp.pad(parts, ((0, 0), (0, 0), (0, rows + after - parts.shape[2]), (0, 0)))
        parts = parts.reshape(C, blocks, -1, rows, W + w - 1)
        reach = parts.shape[2]
        u = sum(jnp.pad(parts[:, :, i], ((0, 0), (i, reach - 1 - i), (0, 0), (0, 0))) for i in range(reach))
        u = u.reshape(C, -1, W + w - 1)
    u = u[:, : H + h - 1]
    if plan.periodic:
        u = u[:, :H].at[:, : h - 1].add(u[:, H:])
        return u[:, :, :W].at[:, :, : w - 1].add(u[:, :, W:])
    return jnp.pad(u, [(0, 0), *((0, g - n) for g, n in zip(plan.grid, u.shape[1:]))])


def _by_platform(plan: _Plan, function: Any, *args: Array) -> Array:
    """Blocks of rows on a processor; an accelerator takes all at once."""
    return lax.platform_dependent(
        *args, cpu=partial(function, plan, _rows(plan)), default=partial(function, plan, plan.size[0])
    )


def _correlated(plan: _Plan, filters: Array, spectra: Array | None, u: Array) -> Array:
    """Inner products of each atom with an array on the grid: (channels, grid) to (atoms, H, W)."""
    if not plan.fourier:
        return _by_platform(plan, _correlated_rows, filters, u)
    product = jnp.einsum("ckhw,chw->khw", jnp.conj(spectra), jnp.fft.rfft2(u), precision="highest")
    return jnp.fft.irfft2(product, s=plan.grid)[:, : plan.size[0], : plan.size[1]]


def _transposed(plan: _Plan, filters: Array, spectra: Array | None, z: Array) -> Array:
    """The sum of atoms with these codes: (atoms, H, W) to (channels, grid), the adjoint of `_correlated`."""
    if not plan.fourier:
        return _by_platform(plan, _transposed_rows, filters, z)
    product = jnp.einsum("ckhw,khw->chw", spectra, jnp.fft.rfft2(z, s=plan.grid), precision="highest")
    return jnp.fft.irfft2(product, s=plan.grid)


def _wide(*arrays: Any) -> list[Array]:
    """Arrays in one floating dtype of single precision at least."""
    dtype = jnp.promote_types(jnp.result_type(*arrays), jnp.float32)
    return [jnp.asarray(array, dtype) for array in arrays]


def _stacked(x: Array | None) -> Array | None:
    """Images or codes of any leading axes as one stack (images, channels or atoms, H, W)."""
    return None if x is None else jnp.moveaxis(x.reshape(-1, *x.shape[-3:]), -1, 1)


def _one_at_a_time(function: Any, x: Array, event: int) -> Any:
    """Maps over leading axes at once, whatever their number."""
    for _ in range(x.ndim - event):
        function = jax.vmap(function)
    return function(x)


@partial(jax.jit, static_argnames=("boundary", "domain"))
def analyze(
    filters: Values, images: Values, *, boundary: Boundary = "circular", domain: Domain = "auto"
) -> Float[Array, "..."]:
    r"""Correlates images with every filter: $a_k[n] = \sum_{i, c} d_k[i, c]\, x[n + i - p, c]$.

    $p = \lfloor (h - 1) / 2 \rfloor$ along each axis. The inner products of the image with each atom at each
    place, which is what a convolutional layer computes.

    Args:
        filters: Shape `(height, width, channels, atoms)`, or `(length, channels, atoms)` for signals.
        images: Shape `(..., H, W, channels)`, or `(..., length, channels)`.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.
        domain: How it is computed: `"spatial"`, `"fourier"`, or `"auto"`, by the size of the filters.

    Returns:
        Shape `(..., H, W, atoms)`, or `(..., length, atoms)`.

    Raises:
        ValueError: If shapes do not match, filters do not fit on a circular image, or an option is unknown.
        TypeError: If something is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> x = jnp.array([0.0, 1.0, 0.0, 0.0])[:, None]
        >>> convolutional.analyze(jnp.array([1.0, 2.0, 3.0])[:, None, None], x)[:, 0]
        Array([3., 2., 1., 0.], dtype=float32)
    """
    plan = _plan(filters, images, boundary, domain)
    dtype = jnp.result_type(filters, images)
    space = filters.ndim - 2
    filters, images = _wide(filters, images)
    if space == 1:
        filters, images = filters[:, None], images[..., None, :]
    spectra = _spectra(plan, filters) if plan.fourier else None

    def one(x: Array) -> Array:
        grid = _embedded(plan, jnp.moveaxis(x, -1, 0))
        return jnp.moveaxis(_correlated(plan, filters, spectra, grid), 0, -1)

    codes = _one_at_a_time(one, images, 3)
    return (codes if space == 2 else codes[..., 0, :]).astype(dtype)


@partial(jax.jit, static_argnames=("boundary", "domain"))
def synthesize(
    filters: Values, codes: Values, *, boundary: Boundary = "circular", domain: Domain = "auto"
) -> Float[Array, "..."]:
    r"""Sums filters at their places: $x[n, c] = \sum_k \sum_i d_k[i, c]\, z_k[n - i + p]$.

    $p = \lfloor (h - 1) / 2 \rfloor$ along each axis, as `scipy.signal.convolve(mode="same")` has it. The
    adjoint of `analyze`.

    Args:
        filters: Shape `(height, width, channels, atoms)`, or `(length, channels, atoms)` for signals.
        codes: Shape `(..., H, W, atoms)`, or `(..., length, atoms)`.
        boundary: Where an atom that crosses the border goes on: `"circular"`, at the other side, or `"zero"`,
            nowhere.
        domain: How it is computed: `"spatial"`, `"fourier"`, or `"auto"`, by the size of the filters.

    Returns:
        Shape `(..., H, W, channels)`, or `(..., length, channels)`.

    Raises:
        ValueError: If shapes do not match, filters do not fit on a circular image, or an option is unknown.
        TypeError: If something is not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> z = jnp.array([0.0, 1.0, 0.0, 0.0])[:, None]
        >>> convolutional.synthesize(jnp.array([1.0, 2.0, 3.0])[:, None, None], z)[:, 0]
        Array([1., 2., 3., 0.], dtype=float32)
    """
    plan = _plan(filters, codes, boundary, domain, codes=True)
    dtype = jnp.result_type(filters, codes)
    space = filters.ndim - 2
    filters, codes = _wide(filters, codes)
    if space == 1:
        filters, codes = filters[:, None], codes[..., None, :]
    spectra = _spectra(plan, filters) if plan.fourier else None

    def one(z: Array) -> Array:
        grid = _transposed(plan, filters, spectra, jnp.moveaxis(z, -1, 0))
        return jnp.moveaxis(_extracted(plan, grid), 0, -1)

    images = _one_at_a_time(one, codes, 3)
    return (images if space == 2 else images[..., 0, :]).astype(dtype)


class _State(NamedTuple):
    """The iteration: codes and dual image, both over-relaxed, and where it stands."""

    z: Array  # (atoms, H, W)
    free: Array | None  # (channels, grid) what the mask lets the residual take for nothing
    u: Array  # (channels, grid) dual image
    sum: Array  # (channels, grid) synthesis of z, and free
    rho: Array  # () size of the steps of z
    codes: Array  # (atoms, H, W) the last codes before relaxation, which are sparse
    primal: Array  # ()
    gap: Array  # ()
    steps: Array  # ()


def _solve(plan, nonnegative, max_steps, filters, spectra, gram, image, mask, penalty, tolerance):
    """The lasso of one image by the alternating direction method on its dual.

    The dual is to maximise <x, u> - ½|u|² over images u whose inner products with the atoms are at most the
    penalty; the codes are the multipliers of that constraint. A step solves for u, which in the Fourier
    domain is one small system a frequency on a single image; the codes meet one analysis, one shrinkage and
    one synthesis. A mask is a channel of its own: the infimal convolution of ½|r|² with
    ½ m²/(1 - m²) |free|² is ½|m r|². A zero boundary is a mask on a larger torus.
    """
    shrink = nonnegative_soft_threshold if nonnegative else soft_threshold
    correlated = partial(_correlated, plan, filters, spectra)
    transposed = partial(_transposed, plan, filters, spectra)
    weights = _embedded(plan, jnp.ones_like(image) if mask is None else mask)
    masked = mask is not None or not plan.periodic
    power = weights**2
    x = _embedded(plan, image)
    values, vectors = gram

    def metric(r: Array, rho: Array) -> Array:
        """Applies the inverse of 1 + rho D D^T, D with the mask's channel."""
        hat = jnp.fft.rfft2(r)
        divisor = 1 + rho * (values + 1 if masked else values)
        if vectors is None:
            return jnp.fft.irfft2(hat / divisor, s=plan.grid)
        hat = jnp.einsum("hwce,chw->hwe", jnp.conj(vectors), hat, precision="highest") / divisor
        return jnp.fft.irfft2(jnp.einsum("hwce,hwe->chw", vectors, hat, precision="highest"), s=plan.grid)

    def step(state: _State) -> tuple[_State, Array, Array, Array]:
        rho, products = state.rho, correlated(state.u)
        z = shrink(state.z + rho * products, rho * penalty)
        synthesis = transposed(z)
        free, total = None, synthesis
        if masked:
            free = (state.free + rho * state.u) * (1 - power) / (1 - power + rho * power)
            total = synthesis + free
        u = state.u + metric(x - state.u - (2 * total - state.sum), rho)
        old = (state.z, state.free, state.u, state.sum)
        relaxed = jax.tree.map(lambda a, b: a + _RELAXATION * (b - a), old, (z, free, u, total))
        return state._replace(**dict(zip(("z", "free", "u", "sum"), relaxed))), z, synthesis, products

    def measured(z: Array, synthesis: Array) -> tuple[Array, Array]:
        """Objective and duality gap, both summed from terms that are nowhere negative."""
        residual = x - synthesis
        products = correlated(power * residual)
        size = products if nonnegative else jnp.abs(products)
        # Scaled so that no product exceeds its penalty, the residual is feasible in the dual.
        scale = 1 / jnp.maximum(1, jnp.max(size / penalty))
        fit = jnp.sum(power * residual**2) / 2
        # An atom's term is zero where its product has the penalty's size and its code's sign.
        slack = jnp.sum(jnp.maximum(penalty * jnp.abs(z) - scale * z * products, 0))
        return fit + jnp.sum(penalty * jnp.abs(z)), fit * (1 - scale) ** 2 + slack

    start = power * x
    products = correlated(start)
    size = products if nonnegative else jnp.abs(products)
    shorter = 1 / jnp.maximum(1, jnp.max(size / penalty))
    zeros = jnp.zeros((plan.atoms, *plan.size), x.dtype)
    energy = jnp.max(jnp.sum(filters**2, axis=(0, 1, 2)))
    objective, gap = measured(zeros, jnp.zeros_like(x))
    state = _State(
        z=zeros,
        free=jnp.zeros_like(x) if masked else None,
        u=shorter * start,
        sum=jnp.zeros_like(x),
        rho=0.5 / jnp.maximum(energy, jnp.finfo(x.dtype).tiny),
        codes=zeros,
        primal=objective,
        gap=gap,
        steps=jnp.zeros((), int),
    )

    def unfinished(state: _State) -> Array:
        return (state.gap > tolerance * state.primal) & (state.steps < max_steps)

    def advance(state: _State) -> _State:
        count = jnp.minimum(_CHECK, max_steps - state.steps)
        state = lax.fori_loop(0, count - 1, lambda _, now: step(now)[0], state)
        state, codes, synthesis, latest = step(state)
        objective, gap = measured(codes, synthesis)
        # Steps are balanced by how far codes and products have come, both from where they began.
        steps = state.steps + count
        way = jnp.linalg.norm(latest - shorter * products)
        target = jnp.linalg.norm(state.z) / way * jnp.minimum(_GROWTH, 1 + steps / _PATIENCE)
        usable = (way > 0) & (target > 0)
        rho = jnp.where(usable, jnp.sqrt(state.rho * target), state.rho)
        return state._replace(rho=rho, codes=codes, primal=objective, gap=gap, steps=steps)

    state = lax.while_loop(unfinished, advance, state)
    return state.codes, state.gap, state.steps, state.gap <= tolerance * state.primal


def _gram(plan: _Plan, filters: Array) -> tuple[Array, Array | None]:
    """D D^T on the torus by frequencies: its eigenvalues, and its eigenvectors if channels are several."""
    spectra = _spectra(plan, filters)
    if plan.channels == 1:
        return jnp.sum(spectra.real**2 + spectra.imag**2, 1), None
    matrices = jnp.einsum("ckhw,ekhw->hwce", spectra, jnp.conj(spectra), precision="highest")
    values, vectors = jnp.linalg.eigh(matrices)
    return jnp.maximum(values, 0), vectors


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _settled(
    plan: _Plan, filters: Array, image: Array, mask: Array | None, penalty: Array, codes: Array
) -> Array:
    """The codes, as they depend on the filters, image and penalty while the support and signs stay."""
    del plan, filters, image, mask, penalty
    return codes


@_settled.defjvp
def _settled_jvp(plan, primals, tangents):
    filters, image, mask, penalty, codes = primals
    support = (codes != 0).astype(codes.dtype)
    signs = jnp.sign(codes)

    def synthesis(filters: Array, z: Array) -> Array:
        return _extracted(plan, _transposed(plan, filters, _maybe_spectra(plan, filters), z))

    def analysis(filters: Array, x: Array) -> Array:
        return _correlated(plan, filters, _maybe_spectra(plan, filters), _embedded(plan, x))

    def weighted(x: Array) -> Array:
        return x if mask is None else mask**2 * x

    def slope(filters: Array, image: Array, penalty: Array) -> Array:
        """The objective's derivative in the codes of the support, which is zero there."""
        residual = weighted(synthesis(filters, codes) - image)
        return support * (analysis(filters, residual) + penalty * signs)

    def curvature(v: Array) -> Array:
        return support * analysis(filters, weighted(synthesis(filters, support * v))) + (1 - support) * v

    _, change = jax.jvp(slope, (filters, image, penalty), (tangents[0], tangents[1], tangents[3]))
    tiny = float(jnp.finfo(codes.dtype).eps)

    def solve(matvec: Any, b: Array) -> Array:
        return jax.scipy.sparse.linalg.cg(matvec, b, tol=10 * tiny, maxiter=_CONJUGATE)[0]

    # `cg` alone passes its start through one operation with `b`, and so has no transpose under `jit`.
    moved = lax.custom_linear_solve(curvature, -change, solve, symmetric=True)
    return codes, moved


def _maybe_spectra(plan: _Plan, filters: Array) -> Array | None:
    return _spectra(plan, filters) if plan.fourier else None


def _check_penalty(penalty: Any, atoms: int) -> None:
    """One positive number, or one an atom."""
    if np.shape(penalty) not in ((), (1,), (atoms,)):
        raise ValueError(
            f"a penalty is one number, or one an atom, {atoms} of them, got shape {np.shape(penalty)}"
        )
    if not isinstance(penalty, jax.core.Tracer) and not np.all(np.asarray(penalty) > 0):
        raise ValueError(
            f"the penalty is {np.min(np.asarray(penalty))}: a lasso needs a positive one "
            "(least squares are another problem)"
        )


def _check_mask(mask: Any, images: Any) -> None:
    if mask is None:
        return
    try:
        fits = np.broadcast_shapes(mask.shape, images.shape) == images.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"a mask broadcasts to the images, of shape {images.shape}, got {mask.shape}: a mask (H, W) "
            "without channels needs an axis at its end"
        )
    if not isinstance(mask, jax.core.Tracer) and (np.min(mask) < 0 or np.max(mask) > 1):
        raise ValueError(
            f"a mask holds weights from 0 to 1, and this runs from {np.min(mask)} to {np.max(mask)}: "
            "divide it by its largest value and the penalty by the square of that"
        )


def lasso(
    filters: Values,
    images: Values,
    penalty: Penalty,
    *,
    mask: Mask | None = None,
    nonnegative: bool = False,
    boundary: Boundary = "circular",
    domain: Domain = "auto",
    tolerance: Number = 1e-3,
    max_steps: int = 1000,
) -> LassoResult:
    r"""Sparse codes: $\min_z \frac12 \|m \odot (x - \sum_k d_k * z_k)\|^2 + \sum_k \lambda_k \|z_k\|_1$.

    By the alternating direction method on the dual problem, whose linear system is solved by Fourier
    transforms of the image alone, whatever the number of atoms. Every image stops by itself. Differentiable,
    forward and backward, in filters, images and penalty: codes move as the minimum over their support does.

    Args:
        filters: $d$, shape `(height, width, channels, atoms)`, or `(length, channels, atoms)` for signals.
        images: $x$, shape `(..., H, W, channels)`, or `(..., length, channels)`.
        penalty: $\lambda > 0$, one number or one an atom.
        mask: $m$, weights from 0, a value that is missing and may be anything, to 1; it broadcasts to the
            images.
        nonnegative: Whether codes are nonnegative.
        boundary: What lies beyond the border, as in `synthesize`: `"circular"` or `"zero"`.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.
        tolerance: An image is done when its duality gap is at most this times its objective. The gap is a
            bound: the objective itself is often a tenth of it, or less, from its minimum.
        max_steps: Steps after which an image is given up.

    Returns:
        The codes with objective, duality gap, steps and whether the tolerance was reached.

    Raises:
        ValueError: If shapes do not match, a penalty is not positive, the mask leaves [0, 1] (where they have
            values), filters do not fit on a circular image, or an option is unknown.
        TypeError: If filters or images are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> x = jnp.array([0.0, 1.0, 2.0, 0.0])[:, None]
        >>> convolutional.lasso(jnp.array([1.0, 2.0])[:, None, None], x, 0.5, tolerance=1e-6).codes[:, 0]
        Array([0. , 0.9, 0. , 0. ], dtype=float32)

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
        Yang and Zhang, Alternating direction algorithms for l1-problems in compressive sensing, 2011.
    """
    plan = _plan(filters, images, boundary, domain)
    _check_penalty(penalty, plan.atoms)
    _check_mask(mask, images)
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}: take 1 at least")
    return _lasso(plan, nonnegative, max_steps, filters, images, penalty, mask, tolerance)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _lasso(plan, nonnegative, max_steps, filters, images, penalty, mask, tolerance) -> LassoResult:
    dtype = jnp.result_type(filters, images)
    signals = filters.ndim == 3
    filters, images = _wide(filters, images)
    penalty = jnp.broadcast_to(jnp.asarray(penalty, images.dtype), (plan.atoms,))[:, None, None]
    if mask is not None:
        mask = jnp.broadcast_to(mask.astype(images.dtype), images.shape)
        images = jnp.where(mask > 0, images, 0)
    if signals:
        filters, images = filters[:, None], images[..., None, :]
        mask = None if mask is None else mask[..., None, :]
    fixed = jax.tree.map(lax.stop_gradient, (filters, penalty))
    spectra, gram = _maybe_spectra(plan, fixed[0]), _gram(plan, fixed[0])

    def solved(arguments):
        image, weights = (lax.stop_gradient(a) for a in arguments)
        return _solve(
            plan, nonnegative, max_steps, fixed[0], spectra, gram,
            image, weights, fixed[1], lax.stop_gradient(tolerance),
        )  # fmt: skip

    def settled(image, weights, codes):
        codes = _settled(plan, filters, image, weights, penalty, codes)
        residual = image - _extracted(plan, _transposed(plan, filters, _maybe_spectra(plan, filters), codes))
        if weights is not None:
            residual = weights * residual
        objective = jnp.sum(residual**2) / 2 + jnp.sum(penalty * jnp.abs(codes))
        return jnp.moveaxis(codes, 0, -1), objective

    lead = images.shape[:-3]
    stacks = [_stacked(images), _stacked(mask)]
    codes, *facts = lax.map(solved, tuple(stacks))
    codes, objective = jax.vmap(settled)(*stacks, lax.stop_gradient(codes))
    codes, objective, gap, steps, converged = (
        part.reshape(*lead, *part.shape[1:]) for part in (codes, objective, *facts)
    )
    codes = codes[..., 0, :] if signals else codes
    return LassoResult(codes.astype(dtype), objective, gap, steps, converged)


def _normalised(filters: Any) -> Array:
    """Atoms divided by their norms; a zero atom stays."""
    energy = jnp.sum(filters**2, axis=tuple(range(filters.ndim - 1)))
    return filters / jnp.sqrt(jnp.where(energy > 0, energy, 1))


def learn_init(filters: Values) -> Learning:
    """Begins to learn filters, with those given divided by their norms.

    Args:
        filters: Shape `(height, width, channels, atoms)`, or `(length, channels, atoms)` for signals: drawn
            at random, or patches of images.

    Returns:
        The state that `learn_step` takes.

    Raises:
        ValueError: If they have another shape.
        TypeError: If they are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> convolutional.learn_init(jnp.full((4, 1, 1), 3.0)).filters[:, 0, 0]
        Array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    filters = jnp.asarray(filters)
    _check_filters(filters)
    filters = _normalised(filters)
    return Learning(filters, jnp.ones((), filters.dtype), jnp.full((), jnp.inf, filters.dtype))


def learn_step(
    state: Learning,
    images: Values,
    penalty: Penalty,
    *,
    mask: Mask | None = None,
    nonnegative: bool = False,
    boundary: Boundary = "circular",
    domain: Domain = "auto",
    tolerance: Number = 1e-2,
    max_steps: int = 50,
    filter_steps: int = 10,
) -> Learning:
    r"""One step of learning: the codes of some images by `lasso`, then steps on the filters.

    Both lower $\frac12 \|m \odot (x - \sum_k d_k * z_k)\|^2 + \sum_k \lambda_k \|z_k\|_1$, its mean over the
    images, with $\|d_k\| \le 1$. With given codes it is quadratic in the filters, which follow spectral
    projected gradients, each atom's divided by the energy of its codes. An atom that is not used stays, and
    an image that holds infinities or NaN counts for nothing.

    Args:
        state: From `learn_init` or the step before.
        images: $x$, a batch, shape `(batch, H, W, channels)`, or `(batch, length, channels)`; leading axes
            are all averaged over.
        penalty: $\lambda > 0$, one number or one an atom.
        mask: $m$, weights from 0, a value that is missing and may be anything, to 1; it broadcasts to the
            images.
        nonnegative: Whether codes are nonnegative.
        boundary: What lies beyond the border: `"circular"`, the other side, or `"zero"`.
        domain: How convolutions are computed: `"spatial"`, `"fourier"`, or `"auto"`, by the filters' size.
        tolerance: Of the codes, as in `lasso`.
        max_steps: Of the codes, as in `lasso`; learning goes on with what they are by then.
        filter_steps: Steps on the filters.

    Returns:
        The next state.

    Raises:
        ValueError: As `lasso`, or if `filter_steps` is below 1.
        TypeError: If filters or images are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import convolutional
        >>> images = jax.random.laplace(jax.random.key(0), (8, 32, 1))
        >>> state = convolutional.learn_init(jax.random.normal(jax.random.key(1), (5, 1, 4)))
        >>> one = convolutional.learn_step(state, images, 0.5)
        >>> bool(convolutional.learn_step(one, images, 0.5).objective < one.objective)
        True

    References:
        Birgin, Martínez and Raydan, Nonmonotone spectral projected gradient methods on convex sets, 2000.
        Garcia-Cardona and Wohlberg, Convolutional dictionary learning: a comparative review and new
        algorithms, 2018.
    """
    facts = _learning_facts(
        state, images, penalty, mask, nonnegative, boundary, domain, max_steps, filter_steps
    )
    return _learn_step(facts, state, images, penalty, mask, tolerance)


def _learning_facts(state, images, penalty, mask, nonnegative, boundary, domain, max_steps, filter_steps):
    """Checks what the learning is given; its static facts."""
    plan = _plan(state.filters, images, boundary, domain)
    _check_penalty(penalty, plan.atoms)
    _check_mask(mask, images)
    for name, value in (("max_steps", max_steps), ("filter_steps", filter_steps)):
        if value < 1:
            raise ValueError(f"{name} is {value}: take 1 at least")
    return plan, nonnegative, max_steps, filter_steps


@partial(jax.jit, static_argnums=(0,))
def _learn_step(facts, state: Learning, images, penalty, mask, tolerance) -> Learning:
    plan, nonnegative, max_steps, filter_steps = facts
    signals = state.filters.ndim == 3
    event = images.ndim - 2 if signals else images.ndim - 3
    if mask is not None:
        images = jnp.where(mask > 0, images, 0)
    whole = jnp.all(jnp.isfinite(images), axis=tuple(range(event, images.ndim)), keepdims=True)
    images = jnp.where(whole, images, 0)
    found = _lasso(plan, nonnegative, max_steps, state.filters, images, penalty, mask, tolerance)
    count = jnp.maximum(jnp.sum(whole), 1).astype(found.objective.dtype)
    dtype = state.filters.dtype
    filters, images = _wide(state.filters, images)
    codes = found.codes.astype(images.dtype)
    if mask is not None:
        mask = jnp.broadcast_to(mask.astype(images.dtype), images.shape)
    if signals:
        filters = filters[:, None]
        images, codes, mask = (None if a is None else a[..., None, :] for a in (images, codes, mask))
    stacks = map(_stacked, (images, codes, mask))
    filters, rate = _fitted(plan, filter_steps, filters, state.rate.astype(images.dtype), *stacks, count)
    objective = jnp.sum(found.objective) / count
    filters = filters[:, 0] if signals else filters
    return Learning(filters.astype(dtype), rate.astype(dtype), objective.astype(dtype))


def _fitted(plan: _Plan, steps: int, filters, rate, images, codes, mask, count) -> tuple[Array, Array]:
    """Filters that fit the images with given codes better, and the size of their next step.

    Images and codes are stacks (images, channels or atoms, H, W). The fit is quadratic, so that the lowest
    point between the filters and their projected step is known.
    """

    def synthesized(filters: Array) -> Array:
        spectra = _maybe_spectra(plan, filters)
        return lax.map(lambda z: _extracted(plan, _transposed(plan, filters, spectra, z)), codes)

    def weighted(x: Array) -> Array:
        return x if mask is None else mask * x

    energy = jnp.sum(codes**2, (0, 2, 3)) / count
    scale = jnp.where(energy > 0, 1 / jnp.where(energy > 0, energy, 1), 0)
    adjoint = jax.linear_transpose(synthesized, filters)

    def move(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        filters, residual, rate = carry
        (descent,) = adjoint(weighted(residual) / count)
        aim = filters + rate * scale * descent
        way = aim / jnp.sqrt(jnp.maximum(jnp.sum(aim**2, (0, 1, 2)), 1)) - filters
        change = weighted(synthesized(way))
        slope, curvature = jnp.sum(descent * way), jnp.sum(change**2) / count
        known = curvature > 0
        curvature = jnp.where(known, curvature, 1)
        share = jnp.where(known, jnp.clip(slope / curvature, 0, 1), 0)
        # What the curvature along this way lets one of its kind go (Barzilai and Borwein).
        rate = jnp.where(known, jnp.sum(energy * way**2) / curvature, rate)
        return filters + share * way, residual - share * change, rate

    residual = weighted(images - synthesized(filters))
    filters, _, rate = lax.fori_loop(0, steps, move, (filters, residual, rate))
    return filters, rate


def learn(
    filters: Values,
    images: Values,
    penalty: Penalty,
    *,
    steps: int = 100,
    mask: Mask | None = None,
    nonnegative: bool = False,
    boundary: Boundary = "circular",
    domain: Domain = "auto",
    tolerance: Number = 1e-2,
    max_steps: int = 50,
    filter_steps: int = 10,
) -> tuple[Float[Array, "..."], Float[Array, " steps"]]:
    r"""Learns filters by `learn_step` on all images at once.

    Args:
        filters: Where to begin, shape `(height, width, channels, atoms)`, or `(length, channels, atoms)`.
        images: Shape `(batch, H, W, channels)`, or `(batch, length, channels)`.
        penalty: $\lambda > 0$, one number or one an atom.
        steps: How many.
        mask: As in `learn_step`.
        nonnegative: Whether codes are nonnegative.
        boundary: As in `learn_step`.
        domain: As in `learn_step`.
        tolerance: As in `learn_step`.
        max_steps: As in `learn_step`.
        filter_steps: As in `learn_step`.

    Returns:
        The filters, and the mean objective `(steps,)` before the steps on them.

    Raises:
        ValueError: As `learn_step`, or if `steps` is below 1.
        TypeError: If filters or images are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import convolutional
        >>> images = jax.random.laplace(jax.random.key(0), (8, 32, 1))
        >>> start = jax.random.normal(jax.random.key(1), (5, 1, 4))
        >>> _, objective = convolutional.learn(start, images, 0.5, steps=10)
        >>> bool(objective[-1] < objective[0])
        True

    References:
        Garcia-Cardona and Wohlberg, Convolutional dictionary learning: a comparative review and new
        algorithms, 2018.
    """
    state = learn_init(filters)
    if steps < 1:
        raise ValueError(f"steps are {steps}: take 1 at least")
    facts = _learning_facts(
        state, images, penalty, mask, nonnegative, boundary, domain, max_steps, filter_steps
    )
    return _learned(facts, steps, state, images, penalty, mask, tolerance)


@partial(jax.jit, static_argnums=(0, 1))
def _learned(facts, steps, state, images, penalty, mask, tolerance):
    def advance(state, _):
        state = _learn_step(facts, state, images, penalty, mask, tolerance)
        return state, state.objective

    state, objectives = lax.scan(advance, state, length=steps)
    return state.filters, objectives


def lowpass(
    images: Values, smoothness: Number, *, mask: Mask | None = None, dimensions: Literal[1, 2] = 2
) -> Float[Array, "..."]:
    r"""The smooth part of images: $\min_l \frac12 \|m \odot (x - l)\|^2 + \frac{\mu}{2} \|\nabla l\|^2$.

    The gradient is of differences of neighbours, and none reaches across the border. Filters of a few pixels
    code what is left.

    Args:
        images: $x$, shape `(..., H, W, channels)`, or `(..., length, channels)`.
        smoothness: $\mu \ge 0$, in squared pixels: a wave of $f$ cycles a pixel is kept up to the factor
            $1 / (1 + 4 \mu \sin^2 \pi f)$.
        mask: $m$, weights from 0, a value that is missing and may be anything, to 1; it broadcasts to the
            images.
        dimensions: 2 for images, 1 for signals.

    Returns:
        $l$, of the images' shape.

    Raises:
        ValueError: If axes are missing, the smoothness is negative, or the mask leaves [0, 1] (where they
            have values).
        TypeError: If images are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> x = jnp.array([0.0, 4.0])[:, None]
        >>> convolutional.lowpass(x, 0.5, dimensions=1)[:, 0].round(4)
        Array([1., 3.], dtype=float32)

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
    """
    _check_floating("images", images)
    if dimensions not in (1, 2):
        raise ValueError(f"dimensions is {dimensions}: take 2 for images, 1 for signals")
    if images.ndim <= dimensions or 0 in images.shape[-dimensions - 1 :]:
        raise ValueError(
            f"images have {dimensions + 1} axes that are not empty at their end, the last of channels, got "
            f"{images.shape}"
        )
    if not isinstance(smoothness, jax.core.Tracer) and not smoothness >= 0:
        raise ValueError(f"smoothness is {smoothness}: take 0 or more")
    _check_mask(mask, images)
    return _lowpass(dimensions, images, smoothness, mask)


@partial(jax.jit, static_argnums=(0,))
def _lowpass(dimensions, images, smoothness, mask):
    dtype = images.dtype
    (images,) = _wide(images)
    smoothness = jnp.asarray(smoothness, images.dtype)
    axes = tuple(range(-dimensions - 1, -1))
    # Cosines are the eigenvectors of differences that do not reach across the border.
    squares = (4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2 for n in images.shape[-dimensions - 1 : -1])
    square = sum(one.reshape(-1, *[1] * (-axis - 1)) for one, axis in zip(squares, axes))
    smooth = smoothness * jnp.asarray(square, images.dtype)

    def transformed(x: Array, factor: Array) -> Array:
        spectrum = jax.scipy.fft.dctn(x, axes=axes, norm="ortho")
        return jax.scipy.fft.idctn(factor * spectrum, axes=axes, norm="ortho")

    if mask is None:
        return transformed(images, 1 / (1 + smooth)).astype(dtype)
    power = jnp.broadcast_to(mask.astype(images.dtype), images.shape) ** 2
    # With one weight in place of all, the system is the one above.
    weight = jnp.maximum(jnp.mean(power, axes, keepdims=True), jnp.finfo(images.dtype).eps)
    precondition = partial(transformed, factor=1 / (weight + smooth))

    def system(x: Array) -> Array:
        return power * x + transformed(x, smooth)

    def solve(matvec: Any, b: Array) -> Array:
        tiny = float(jnp.finfo(b.dtype).eps)
        return jax.scipy.sparse.linalg.cg(matvec, b, tol=10 * tiny, maxiter=_CONJUGATE, M=precondition)[0]

    observed = power * jnp.where(power > 0, images, 0)
    return lax.custom_linear_solve(system, observed, solve, symmetric=True).astype(dtype)


def denoise(
    filters: Values,
    images: Values,
    noise: Number,
    *,
    strength: Number = 2.5,
    smoothness: Number = 5.0,
    boundary: Boundary = "zero",
    domain: Domain = "auto",
    tolerance: Number = 1e-2,
    max_steps: int = 200,
) -> Restoration:
    r"""Takes white noise from images: the smooth part, and the sparse codes of the rest.

    The rest is coded by `lasso` with the penalties $\lambda_k = c\, \sigma \|d_k\|$: $\sigma \|d_k\|$ is the
    deviation of the noise's inner product with an atom.

    Args:
        filters: $d$, shape `(height, width, channels, atoms)`, or `(length, channels, atoms)`, such as
            `learn` finds on images without their smooth part.
        images: Shape `(..., H, W, channels)`, or `(..., length, channels)`.
        noise: $\sigma > 0$, the noise's standard deviation.
        strength: $c > 0$.
        smoothness: Of the smooth part, as in `lowpass`.
        boundary: As in `lasso`: by default atoms end at the border.
        domain: As in `lasso`.
        tolerance: As in `lasso`.
        max_steps: As in `lasso`.

    Returns:
        The images, their smooth part, and the codes.

    Raises:
        ValueError: As `lasso` and `lowpass`, or if noise or strength (where they have values) are not
            positive.
        TypeError: If filters or images are not real floating point.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import convolutional
        >>> bump = jax.numpy.array([1.0, -2.0, 1.0])[:, None]
        >>> clean = jax.numpy.zeros((64, 1)).at[20:23].set(bump)
        >>> noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
        >>> found = convolutional.denoise(bump[..., None], noisy, 0.1).images
        >>> bool(((found - clean) ** 2).mean() < ((noisy - clean) ** 2).mean() / 2)
        True

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
    """
    _plan(filters, images, boundary, domain)
    for name, value in (("noise", noise), ("strength", strength)):
        if not isinstance(value, jax.core.Tracer) and not value > 0:
            raise ValueError(f"{name} is {value}: take a positive number")
    (wide,) = _wide(filters)
    norms = jnp.sqrt(jnp.sum(wide**2, axis=tuple(range(filters.ndim - 1))))
    # A zero atom takes no part, whatever its penalty, which is positive.
    penalty = strength * noise * jnp.where(norms > 0, norms, 1)
    return _restored(
        filters, images, penalty, None, smoothness, boundary=boundary, domain=domain, tolerance=tolerance,
        max_steps=max_steps, dimensions=filters.ndim - 2,
    )  # fmt: skip


def _restored(filters, images, penalty, mask, smoothness, *, dimensions, **options) -> Restoration:
    smooth = lowpass(images, smoothness, mask=mask, dimensions=dimensions)
    codes = lasso(filters, images - smooth, penalty, mask=mask, **options)
    rest = synthesize(filters, codes.codes, boundary=options["boundary"], domain=options["domain"])
    return Restoration(smooth + rest, smooth, codes)


def inpaint(
    filters: Values,
    images: Values,
    mask: Mask,
    penalty: Penalty,
    *,
    smoothness: Number = 5.0,
    boundary: Boundary = "zero",
    domain: Domain = "auto",
    tolerance: Number = 1e-2,
    max_steps: int = 500,
) -> Restoration:
    r"""Fills in what is missing from images: the smooth part, and the sparse codes of the rest.

    Both are fitted where values are known, and go on where they are not.

    Args:
        filters: $d$, shape `(height, width, channels, atoms)`, or `(length, channels, atoms)`, such as
            `learn` finds on images without their smooth part.
        images: Shape `(..., H, W, channels)`, or `(..., length, channels)`.
        mask: $m$, weights from 0, a value that is missing and may be anything, to 1; it broadcasts to the
            images.
        penalty: $\lambda > 0$, one number or one an atom; small if the known values are exact.
        smoothness: Of the smooth part, as in `lowpass`.
        boundary: As in `lasso`: by default atoms end at the border.
        domain: As in `lasso`.
        tolerance: As in `lasso`.
        max_steps: As in `lasso`.

    Returns:
        The images as the model has them, also where they are known; their smooth part, and the codes.

    Raises:
        ValueError: As `lasso` and `lowpass`.
        TypeError: If filters or images are not real floating point.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import convolutional
        >>> bump = jnp.array([1.0, -2.0, 1.0])
        >>> x = jnp.zeros(100).at[50:53].set(bump).at[51].set(jnp.nan)[:, None]
        >>> found = convolutional.inpaint(bump[:, None, None], x, ~jnp.isnan(x), 1e-3, smoothness=1e6)
        >>> found.images[50:53, 0].round()
        Array([ 1., -2.,  1.], dtype=float32)

    References:
        Wohlberg, Efficient algorithms for convolutional sparse representations, 2016.
    """
    _plan(filters, images, boundary, domain)
    return _restored(
        filters, images, penalty, mask, smoothness, boundary=boundary, domain=domain, tolerance=tolerance,
        max_steps=max_steps, dimensions=filters.ndim - 2,
    )  # fmt: skip
