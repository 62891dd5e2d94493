"""Patches of images: taking them out, putting them back by averages, and denoising by them.

Conventions: images are `(..., H, W, C)`, and a patch of `h` by `w` pixels is a vector of `h w C` numbers: its
rows one after the other, the channels of a pixel together. `patch_size` is `(h, w)`, or one number for a
square.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.sparse import pursuit
from jaxtheory.sparse.signals import rows

STRIP, BLOCK = 1 << 15, 1 << 10
"""Patches of an image that are held at a time, and those of them that are coded together."""

PatchSize = int | tuple[int, int]
"""Height and width of patches in pixels, or one number for a square."""


def _size(patch_size: PatchSize) -> tuple[int, ...]:
    """Height and width of patches."""
    return checks.sizes("patch_size", patch_size, ("height", "width"), square=True)


def _sizes(patch_size: PatchSize, images: Array) -> tuple[int, int]:
    """Height and width of patches that fit into images (..., H, W, C)."""
    checks.axes("images", images, "...", "H", "W", "C")
    h, w = _size(patch_size)
    H, W = images.shape[-3:-1]
    if h > H or w > W:
        raise ValueError(f"patch_size is {(h, w)}: take at most the images' {(H, W)}")
    return h, w


def extract(
    images: Real[AnyArray, "... H W C"], patch_size: PatchSize
) -> Float[Array, "... down across hwC"]:
    """Return all patches of images, which overlap.

    Args:
        images: The images.
        patch_size: The height and width of a patch, at most those of the images.

    Returns:
        The patches by the row and column of their first pixel: `H - h + 1` times `W - w + 1` of them.

    Raises:
        ValueError: If patches do not fit, or images have fewer than three axes.
        TypeError: If images are complex, or the size is not made of whole numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import patches
        >>> patches.extract(jnp.arange(6.0).reshape(2, 3, 1), 2)
        Array([[[0., 1., 3., 4.],
                [1., 2., 4., 5.]]], dtype=float32)
    """
    (images,), back = real_arrays(images=images)
    h, w = _sizes(patch_size, images)
    return back(_extracted(images, h, w))


def _extracted(images: Array, h: int, w: int) -> Array:
    *_, H, W, _ = images.shape
    down, across = H - h + 1, W - w + 1
    shifted = [images[..., i : i + down, j : j + across, :] for i in range(h) for j in range(w)]
    return jnp.concatenate(shifted, axis=-1)


def average(
    patches: Real[AnyArray, "... down across hwC"], patch_size: PatchSize
) -> Float[Array, "... H W C"]:
    """Return images in which each pixel is the mean of its values in all patches that cover it.

    Args:
        patches: All overlapping patches, as `extract` returns them.
        patch_size: The height and width of a patch.

    Returns:
        The images; if the patches are unchanged, those from which they were extracted.

    Raises:
        ValueError: If patches have fewer than three axes, or another size.
        TypeError: If patches are complex, or the size is not made of whole numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import patches
        >>> image = jnp.arange(6.0).reshape(2, 3, 1)
        >>> patches.average(patches.extract(image, 2), 2)[..., 0]
        Array([[0., 1., 2.],
               [3., 4., 5.]], dtype=float32)
    """
    (patches,), back = real_arrays(patches=patches)
    checks.axes("patches", patches, "...", "down", "across", "pixels")
    down, across, size = patches.shape[-3:]
    h, w = _size(patch_size)
    if not size or size % (h * w):
        raise ValueError(f"patches has the shape {patches.shape}: take a multiple of {h * w} numbers a patch")
    counts = _counts((down + h - 1, across + w - 1), (h, w))
    return back(_summed(patches, h, w) / jnp.asarray(counts, patches.dtype))


def _summed(patches: Array, h: int, w: int) -> Array:
    """The sum of a pixel's values in all patches that cover it: (..., H, W, C)."""
    patches = patches.reshape(*patches.shape[:-1], h, w, patches.shape[-1] // (h * w))
    lead = [(0, 0)] * (patches.ndim - 5)

    def moved(part: Array, before: int, after: int, axis: int) -> Array:
        padding = [*lead, (0, 0), (0, 0), *[(0, 0)] * (part.ndim - len(lead) - 2)]
        padding[axis] = (before, after)
        return jnp.pad(part, padding)

    row, column = len(lead), len(lead) + 1
    total = sum(moved(patches[..., i, :, :], i, h - 1 - i, row) for i in range(h))
    return sum(moved(total[..., j, :], j, w - 1 - j, column) for j in range(w))


def _counts(shape: tuple[int, int], patch_size: tuple[int, int]) -> np.ndarray:
    """How many patches a pixel has: (H, W, 1)."""
    down, across = (np.convolve(np.ones(n - k + 1), np.ones(k)) for n, k in zip(shape, patch_size))
    return np.outer(down, across)[..., None]


def sample(
    key: RandomKey, images: Real[AnyArray, "n H W C"], patches: int, patch_size: PatchSize
) -> Float[Array, "{patches} hwC"]:
    """Draw patches of images at random places, with replacement.

    Args:
        key: The random key.
        images: The images, of one size.
        patches: The number of patches, at least 1.
        patch_size: The height and width of a patch, at most those of the images.

    Returns:
        The patches.

    Raises:
        ValueError: If patches do not fit, or there are no images.
        TypeError: If images are complex, or a count is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import patches
        >>> images = jax.numpy.arange(36.0).reshape(1, 6, 6, 1)
        >>> patches.sample(jax.random.key(0), images, 5, 3).shape
        (5, 9)
    """
    checks.random_key("key", key)
    (images,), back = real_arrays(images=images)
    checks.axes("images", images, "n", "H", "W", "C")
    if 0 in images.shape:
        raise ValueError(f"images has the shape {images.shape}: take at least one image")
    count, size = checks.count("patches", patches), _sizes(patch_size, images)
    return back(_sampled(key, images, count=count, size=size))


@partial(jax.jit, static_argnames=("count", "size"))
def _sampled(key: RandomKey, images: Array, *, count: int, size: tuple[int, int]) -> Array:
    n, H, W, C = images.shape
    most = np.array([n, H - size[0] + 1, W - size[1] + 1], np.int32)
    places = jax.random.randint(key, (count, 3), 0, most, jnp.int32)

    def cut(place: Array) -> Array:
        return lax.dynamic_slice(images, (*place, jnp.int32(0)), (1, *size, C)).reshape(-1)

    return jax.vmap(cut)(places)


def normalize_contrast(
    patches: Real[AnyArray, "... pixels"], *, regularization: RealScalar = 0.01
) -> Float[Array, "... pixels"]:
    r"""Return patches without their means, divided by their standard deviations.

    $(p - \bar p) / \sqrt{\mathrm{var}(p) + \epsilon}$.

    Args:
        patches: The patches.
        regularization: The number $\epsilon \geq 0$ that is added to the variances, which leaves patches of
            little contrast small: about the variance of the noise.

    Returns:
        The patches of contrast one.

    Raises:
        ValueError: If the regularization is negative.
        TypeError: If patches are complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import patches
        >>> patches.normalize_contrast(jnp.array([1.0, 3.0, 5.0, 7.0]), regularization=4.0)
        Array([-1.        , -0.33333334,  0.33333334,  1.        ], dtype=float32)

    References:
        Coates and Ng, Learning feature representations with k-means, 2012.
    """
    checks.nonnegative("regularization", regularization, one=True)
    (patches, regularization), back = real_arrays(patches=patches, regularization=regularization)
    checks.axes("patches", patches, "...", "pixels")
    checks.axes("regularization", regularization)
    centered = patches - jnp.mean(patches, axis=-1, keepdims=True)
    variance = jnp.mean(centered**2, axis=-1, keepdims=True) + regularization
    return back(centered / jnp.sqrt(jnp.where(variance > 0, variance, 1)))


def denoise(
    dictionary: Real[AnyArray, "atoms hwC"],
    images: Real[AnyArray, "... H W C"],
    noise: RealScalar,
    patch_size: PatchSize,
    *,
    strength: RealScalar = 1.15,
    fidelity: RealScalar = 1.0,
    sparsity: int | None = None,
) -> Float[Array, "... H W C"]:
    r"""Remove white noise from images: every patch becomes a few atoms, and patches are averaged.

    All patches, which overlap, are coded without the means of their channels by orthogonal matching pursuit
    down to a residual of $g\, \sigma \sqrt{h w C}$; a pixel is the mean of its values in the patches that
    cover it, and of itself with weight $w$.

    Args:
        dictionary: The atoms: patches without the means of their channels, such as `ksvd` finds.
        images: The noisy images.
        noise: The noise's standard deviation $\sigma > 0$.
        patch_size: The height and width of a patch, those of the atoms.
        strength: The factor $g > 0$ on the noise.
        fidelity: The weight $w \ge 0$ of the noisy pixel itself.
        sparsity: The largest number of atoms of a patch; by default half as many as it has numbers.

    Returns:
        The images without most of the noise.

    Raises:
        ValueError: If patches of this size are not the dictionary's or do not fit, or a number is out of
            range.
        TypeError: If something is complex, or a count is not a whole number.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse import patches
        >>> clean = jnp.zeros((16, 16, 1)).at[:, 8:].set(1.0)
        >>> noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
        >>> steps = jnp.tril(jnp.ones((4, 4)))[:3, None] - jnp.arange(1, 4)[:, None, None] / 4
        >>> atoms = jnp.broadcast_to(steps, (3, 4, 4)).reshape(3, 16)
        >>> found = patches.denoise(atoms, noisy, 0.1, 4)
        >>> bool(((found - clean) ** 2).mean() < ((noisy - clean) ** 2).mean() / 4)
        True

    References:
        Elad and Aharon, Image denoising via sparse and redundant representations over learned dictionaries,
        2006.
    """
    checks.positive("noise", noise, one=True)
    checks.positive("strength", strength, one=True)
    checks.nonnegative("fidelity", fidelity, one=True)
    arrays, back = real_arrays(
        dictionary=dictionary, images=images, noise=noise, strength=strength, fidelity=fidelity
    )
    dictionary, images, noise, strength, fidelity = arrays
    for name, value in {"noise": noise, "strength": strength, "fidelity": fidelity}.items():
        checks.axes(name, value)
    h, w = _sizes(patch_size, images)
    numbers = h * w * images.shape[-1]
    dictionary = rows("dictionary", dictionary, numbers)
    atoms = len(dictionary)
    if sparsity is None:
        sparsity = min(atoms, max(1, numbers // 2))
    sparsity = checks.count("sparsity", sparsity, most=atoms)
    tolerance = strength * noise * np.sqrt(numbers).astype(images.dtype)
    return back(_denoised(dictionary, images, tolerance, fidelity, size=(h, w), sparsity=sparsity))


@partial(jax.jit, static_argnames=("size", "sparsity"))
def _denoised(
    dictionary: Array,
    images: Array,
    tolerance: Array,
    fidelity: Array,
    *,
    size: tuple[int, int],
    sparsity: int,
) -> Array:
    (h, w), (H, W, C) = size, images.shape[-3:]
    down, across, numbers = H - h + 1, W - w + 1, h * w * C
    strip = min(down, max(1, STRIP // across))

    def coded(patches: Array) -> Array:
        """The patches as the atoms represent them; those of similar energy take about as many atoms."""
        order = jnp.argsort(jnp.sum(patches**2, axis=1))
        blocks = jnp.pad(patches[order], ((0, -len(patches) % BLOCK), (0, 0))).reshape(-1, BLOCK, numbers)

        def block(some: Array) -> Array:
            found = pursuit.orthogonal_matching_pursuit(
                dictionary, some, sparsity=sparsity, tolerance=tolerance
            )
            return matmul(found.codes, dictionary)

        said = lax.map(block, blocks).reshape(-1, numbers)[: len(patches)]
        return jnp.zeros_like(patches).at[order].set(said)

    def one(image: Array) -> Array:
        def add(total: Array, start: Array) -> tuple[Array, None]:
            # The last rows of patches are as many as the others, some of them counted before.
            first = jnp.minimum(start, down - strip)
            part = lax.dynamic_slice_in_dim(image, first, strip + h - 1)
            patches = _extracted(part, h, w).reshape(-1, h * w, C)
            mean = jnp.mean(patches, axis=1, keepdims=True)
            said = coded((patches - mean).reshape(-1, numbers)).reshape(patches.shape) + mean
            said = said.reshape(strip, across, numbers)
            said = jnp.where((first + jnp.arange(strip) >= start)[:, None, None], said, 0)
            before = lax.dynamic_slice_in_dim(total, first, strip + h - 1)
            return lax.dynamic_update_slice_in_dim(total, before + _summed(said, h, w), first, 0), None

        return lax.scan(add, fidelity * image, np.arange(0, down, strip))[0]

    totals = lax.map(one, images.reshape(-1, H, W, C))
    counts = jnp.asarray(_counts((H, W), size), images.dtype)
    return (totals / (fidelity + counts)).reshape(images.shape)
