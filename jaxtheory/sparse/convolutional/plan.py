"""The static facts of a convolution, and how it is computed: by patches, or by Fourier transforms.

Conventions: inside, an image is `(channels, H, W)` and codes are `(atoms, H, W)`; signals are images of width
1. The grid is the torus on which convolutions are periodic.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import scipy.fft
from jax import lax
from jaxtyping import Array

from jaxtheory.core import checks
from jaxtheory.core.types import Boundary

Domain = Literal["auto", "spatial", "fourier"]
"""How convolutions are computed: by products with patches, by Fourier transforms, or by the filters' size."""

BLOCK = 1 << 18
"""The number of entries of patches that a processor multiplies at a time: a megabyte, which caches hold."""


class Plan(NamedTuple):
    """The static facts of a convolution, and the computations that follow from them."""

    shape: tuple[int, int]
    """The height and width of an image."""
    kernel_size: tuple[int, int]
    """The height and width of a filter."""
    channels: int
    atoms: int
    periodic: bool
    """Whether an image continues at the other side, rather than with zeros."""
    fourier: bool
    """Whether convolutions are computed by Fourier transforms."""

    @classmethod
    def of(
        cls, filters: Array, other: Array, boundary: Boundary, domain: Domain, *, codes: bool = False
    ) -> "Plan":
        """Check shapes and options of filters with images, or with codes, and make the plan."""
        check_filters(filters)
        space = filters.ndim - 2
        kernel, (channels, atoms) = filters.shape[:space], filters.shape[space:]
        names = ["height", "width"] if space == 2 else ["length"]
        last, name = (atoms, "atoms") if codes else (channels, "channels")
        what = "codes" if codes else "images"
        checks.axes(what, other, "...", *names, name, sizes=[*[None] * space, last])
        if 0 in other.shape[-space - 1 :]:
            raise ValueError(f"{what} has the shape {other.shape}: take no empty axes but leading ones")
        size = other.shape[-space - 1 : -1]
        checks.one_of("boundary", boundary, ("periodic", "zero"))
        checks.one_of("domain", domain, ("auto", "spatial", "fourier"))
        if boundary == "periodic" and any(k > n for k, n in zip(kernel, size)):
            raise ValueError(
                f"filters has the kernel size {kernel} on a periodic image of shape {size}: take smaller "
                "filters, or boundary='zero'"
            )
        size, kernel = (tuple(axes) if space == 2 else (axes[0], 1) for axes in (size, kernel))
        # A product with patches costs so many multiplications a coefficient; the transforms of a map cost as
        # much as some hundred, and their product with the filters' spectra four a channel.
        costly = math.prod(kernel) * channels > 128 + 32 * channels
        fourier = costly if domain == "auto" else domain == "fourier"
        return cls(size, kernel, channels, atoms, boundary == "periodic", fourier)

    @property
    def grid(self) -> tuple[int, int]:
        """The shape of the torus: that of the image, or of the image with room for its filters."""
        if self.periodic:
            return self.shape
        return tuple(
            scipy.fft.next_fast_len(n + k - 1, real=True) if n + k > 2 else 1
            for n, k in zip(self.shape, self.kernel_size)
        )

    def embed(self, x: Array) -> Array:
        """An image on the grid, moved so that a filter's first entry is its anchor."""
        before = [(k - 1) // 2 for k in self.kernel_size]
        if self.periodic:
            return jnp.roll(x, before, (1, 2))
        room = [(p, g - n - p) for p, g, n in zip(before, self.grid, self.shape)]
        return jnp.pad(x, [(0, 0), *room])

    def extract(self, u: Array) -> Array:
        """The image on a grid: undoes `embed`, and is its adjoint."""
        (p, q), (H, W) = ((k - 1) // 2 for k in self.kernel_size), self.shape
        if self.periodic:
            return jnp.roll(u, (-p, -q), (1, 2))
        return u[:, p : p + H, q : q + W]

    def transform(self, filters: Array) -> Array:
        """The filters' Fourier transforms on the grid, (channels, atoms, frequencies)."""
        return jnp.fft.rfft2(jnp.moveaxis(filters, (0, 1), (2, 3)), s=self.grid)

    def spectra(self, filters: Array) -> Array | None:
        """What `correlate` and `spread` take beside the filters: their transforms where these are used."""
        return self.transform(filters) if self.fourier else None

    def correlate(self, filters: Array, spectra: Array | None, u: Array) -> Array:
        """Inner products of each atom with an array on the grid: (channels, grid) to (atoms, H, W)."""
        if spectra is None:
            return self._by_platform(_correlate_rows, filters, u)
        product = jnp.einsum("ckhw,chw->khw", jnp.conj(spectra), jnp.fft.rfft2(u), precision="highest")
        return jnp.fft.irfft2(product, s=self.grid)[:, : self.shape[0], : self.shape[1]]

    def spread(self, filters: Array, spectra: Array | None, z: Array) -> Array:
        """The sum of atoms with these codes: (atoms, H, W) to (channels, grid), adjoint to `correlate`."""
        if spectra is None:
            return self._by_platform(_spread_rows, filters, z)
        product = jnp.einsum("ckhw,khw->chw", spectra, jnp.fft.rfft2(z, s=self.grid), precision="highest")
        return jnp.fft.irfft2(product, s=self.grid)

    def analyze(self, filters: Array, x: Array) -> Array:
        """Inner products of each atom with an image: (channels, H, W) to (atoms, H, W)."""
        return self.correlate(filters, self.spectra(filters), self.embed(x))

    def synthesize(self, filters: Array, z: Array) -> Array:
        """The image that codes stand for: (atoms, H, W) to (channels, H, W)."""
        return self.extract(self.spread(filters, self.spectra(filters), z))

    def _by_platform(self, function: Callable[..., Array], *args: Array) -> Array:
        """Blocks of rows on a processor; an accelerator takes all at once."""
        rows = max(1, BLOCK // (math.prod(self.kernel_size) * self.channels * self.shape[1]))
        return lax.platform_dependent(
            *args,
            cpu=partial(function, self, min(self.shape[0], rows)),
            default=partial(function, self, self.shape[0]),
        )


def check_filters(filters: Any) -> None:
    """Refuse what cannot be filters for images or signals."""
    if filters.ndim not in (3, 4):
        raise ValueError(
            f"filters has the shape {filters.shape}: take (height, width, channels, atoms) for images, or "
            "(length, channels, atoms) for signals"
        )
    if 0 in filters.shape:
        raise ValueError(f"filters has the shape {filters.shape}: take no empty axes")


def _matrix(plan: Plan, filters: Array) -> Array:
    """The filters as a matrix (width height channels, atoms), to multiply patches with."""
    return jnp.swapaxes(filters, 0, 1).reshape(-1, plan.atoms)


def _correlate_rows(plan: Plan, rows: int, filters: Array, u: Array) -> Array:
    (h, w), (H, W) = plan.kernel_size, plan.shape
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


def _spread_rows(plan: Plan, rows: int, filters: Array, z: Array) -> Array:
    (h, w), (H, W), C = plan.kernel_size, plan.shape, plan.channels
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
