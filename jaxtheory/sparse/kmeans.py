r"""k-means, of any signals and of patches of images, as Coates, Lee and Ng use it for features.

`lloyd` and `spherical` are learners of `sparse.learning`; they take all signals at each step. Conventions:
signals are `(n, features)`, and centroids `(clusters, features)`, one per row.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.sparse import kmeans, learning
    >>> places = jnp.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> signals = jnp.repeat(places, 50, axis=0) + 0.1 * jax.random.normal(jax.random.key(0), (150, 2))
    >>> learner = kmeans.lloyd()
    >>> start = learner.init(kmeans.spread(jax.random.key(1), signals, 3))
    >>> found, metrics = learning.run(learner, start, signals, steps=10)
    >>> sorted(found.centroids.round().tolist())
    [[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]]
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record, static
from jaxtheory.core.roots import root
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.sparse import patches as patch_vectors
from jaxtheory.sparse import whitening
from jaxtheory.sparse.dictionary_learning.sampling import replace_idle
from jaxtheory.sparse.learning import Learner, bind, run
from jaxtheory.sparse.signals import finite_rows, mean_over, rows


@record
class KMeansState:
    """The state from which k-means continues."""

    centroids: Float[Array, "clusters features"]
    """The centers of the clusters."""
    step: Int[Array, ""]
    """The number of steps taken."""


def _distances(centroids: Array, signals: Array) -> Array:
    """Squared distances of signals (..., features) from all centroids, (..., clusters)."""
    norms = jnp.sum(signals**2, axis=-1, keepdims=True) + jnp.sum(centroids**2, axis=1)
    return jnp.maximum(norms - 2 * matmul(signals, centroids.T), 0)


def lloyd() -> Learner:
    r"""Cluster signals by Lloyd's method, which lowers $\sum_x \min_k \|x - c_k\|^2$ at each step.

    Each centroid becomes the mean of the signals that are nearest to it. A centroid without a signal becomes
    the one that is farthest from its own. Signals with infinities or NaN are left out.

    Returns:
        The learner. `init(centroids)` returns a `KMeansState`. `step(state, signals)` has the metric
        `"distance"`, the mean squared distance from the nearest centroid before the step.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import kmeans
        >>> learner = kmeans.lloyd()
        >>> start = learner.init(jnp.array([[0.0], [10.0]]))
        >>> learner.step(start, jnp.array([[1.0], [2.0], [9.0]]))[0].centroids[:, 0].tolist()
        [1.5, 9.0]

    References:
        Lloyd, Least squares quantization in PCM, 1982.
    """
    return Learner(bind(_init), bind(_step))


def _init(centroids: Real[AnyArray, "clusters features"]) -> KMeansState:
    return KMeansState(rows("centroids", centroids), jnp.zeros((), jnp.int32))


def _step(state: KMeansState, signals: Real[AnyArray, "n features"]) -> tuple[KMeansState, dict[str, Array]]:
    centroids = state.centroids
    return _moved(state, rows("signals", signals, centroids.shape[1]).astype(centroids.dtype))


@jax.jit
def _moved(state: KMeansState, signals: Array) -> tuple[KMeansState, dict[str, Array]]:
    signals, finite = finite_rows(signals)
    squares = _distances(state.centroids, signals)
    nearest, left = jnp.argmin(squares, axis=1), jnp.where(finite, jnp.min(squares, axis=1), 0)
    member = jax.nn.one_hot(nearest, len(state.centroids), dtype=signals.dtype) * finite[:, None]
    count = jnp.sum(member, axis=0)
    means = matmul(member.T, signals) / jnp.maximum(count, 1)[:, None]
    # Of the farthest signals one each, the farthest first.
    rank = jnp.cumsum(count == 0) - 1
    farthest = jnp.argsort(-left)[jnp.clip(rank, 0, len(signals) - 1)]
    fresh = jnp.where((left[farthest] > 0)[:, None], signals[farthest], state.centroids)
    centroids = jnp.where((count > 0)[:, None], means, fresh)
    return KMeansState(centroids, state.step + 1), {"distance": mean_over(finite, left)}


def spherical() -> Learner:
    r"""Cluster signals by their directions, up to the sign: the k-means of Coates and Ng.

    A signal belongs to the centroid of the largest $|\langle x, c_k \rangle|$, with this product as its code;
    a centroid becomes itself plus its signals weighted by their codes, scaled to unit length. A centroid
    without a signal becomes the signal that its own centroid explains least. Signals with infinities or NaN
    are left out.

    Returns:
        The learner. `init(centroids)` scales them to unit length and returns a `KMeansState`.
        `step(state, signals)` has the metric `"distance"`, the mean squared distance of a signal from its
        multiple of a centroid before the step.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import kmeans
        >>> learner = kmeans.spherical()
        >>> start = learner.init(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> learner.step(start, jnp.array([[3.0, 1.0], [0.0, -2.0]]))[0].centroids.round(3).tolist()
        [[0.958, 0.287], [0.0, 1.0]]

    References:
        Coates and Ng, Learning feature representations with k-means, 2012.
    """
    return Learner(bind(_directed_init), bind(_directed_step))


def _unit(centroids: Array) -> Array:
    length = jnp.linalg.norm(centroids, axis=1, keepdims=True)
    return centroids / jnp.where(length > 0, length, 1)


def _directed_init(centroids: Real[AnyArray, "clusters features"]) -> KMeansState:
    return KMeansState(_unit(rows("centroids", centroids)), jnp.zeros((), jnp.int32))


def _directed_step(
    state: KMeansState, signals: Real[AnyArray, "n features"]
) -> tuple[KMeansState, dict[str, Array]]:
    centroids = state.centroids
    return _turned(state, rows("signals", signals, centroids.shape[1]).astype(centroids.dtype))


@jax.jit
def _turned(state: KMeansState, signals: Array) -> tuple[KMeansState, dict[str, Array]]:
    signals, finite = finite_rows(signals)
    products = matmul(signals, state.centroids.T)
    chosen = jax.nn.one_hot(jnp.argmax(jnp.abs(products), axis=1), len(state.centroids), dtype=signals.dtype)
    codes = products * chosen
    left = jnp.sum((signals - matmul(codes, state.centroids)) ** 2, axis=1)
    centroids = _unit(state.centroids + matmul(codes.T, signals))
    idle = ~jnp.any(codes != 0, axis=0)
    centroids, _ = replace_idle(centroids, idle, signals, left)
    return KMeansState(centroids, state.step + 1), {"distance": mean_over(finite, left)}


def spread(
    key: RandomKey, signals: Real[AnyArray, "n features"], clusters: int
) -> Float[Array, "{clusters} features"]:
    """Draw initial centroids that lie far from each other: k-means++.

    Each is a signal, drawn with a probability proportional to its squared distance from the nearest of those
    before.

    Args:
        key: The random key.
        signals: The signals.
        clusters: The number of centroids, from 1 to that of the signals.

    Returns:
        The centroids. Signals with infinities or NaN are not drawn.

    Raises:
        ValueError: If there are fewer signals than centroids, or the signals are empty or not a matrix.
        TypeError: If signals are complex, `clusters` is not a whole number, or `key` is not a random key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.sparse import kmeans
        >>> signals = jnp.array([[0.0], [0.0], [5.0]])
        >>> sorted(kmeans.spread(jax.random.key(0), signals, 2)[:, 0].tolist())
        [0.0, 5.0]

    References:
        Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007.
    """
    checks.random_key("key", key)
    _, back = real_arrays(signals=signals)
    signals = rows("signals", signals)
    return back(_spread(key, signals, clusters=checks.count("clusters", clusters, most=len(signals))))


@partial(jax.jit, static_argnames=("clusters",))
def _spread(key: RandomKey, signals: Array, *, clusters: int) -> Array:
    signals, finite = finite_rows(signals)

    def draw(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        centroids, squares = carry
        # Where all distances are zero, each signal that is finite has the same chance.
        chance = jnp.where(jnp.any(squares > 0), squares, finite.astype(squares.dtype))
        drawn = jax.random.categorical(jax.random.fold_in(key, i), jnp.log(chance))
        found = signals[drawn]
        nearer = jnp.sum((signals - found) ** 2, axis=1)
        return centroids.at[i].set(found), jnp.minimum(squares, jnp.where(finite, nearer, 0))

    empty = jnp.zeros((clusters, signals.shape[1]), signals.dtype)
    far = jnp.where(finite, jnp.finfo(signals.dtype).max, 0).astype(signals.dtype)
    return lax.fori_loop(0, clusters, draw, (empty, far))[0]


def triangle(
    centroids: Real[AnyArray, "clusters features"], x: Real[AnyArray, "... features"]
) -> Float[Array, "... clusters"]:
    r"""Return by how much vectors are nearer to each centroid than to the centroids on average.

    $\max(0, \bar d - d_k)$ with the distances $d_k = \|x - c_k\|$ and their mean $\bar d$ over $k$.

    Args:
        centroids: The centroids.
        x: The vectors.

    Returns:
        The features, about half of which are zero.

    Raises:
        ValueError: If shapes do not match.
        TypeError: If something is complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import kmeans
        >>> kmeans.triangle(jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.array([3.0, 4.0]))
        Array([0. , 2.5], dtype=float32)

    References:
        Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, 2011.
    """
    (centroids, x), back = real_arrays(centroids=centroids, x=x)
    centroids = rows("centroids", centroids)
    checks.axes("x", x, "...", "features", sizes=(centroids.shape[1],))
    distances = root(_distances(centroids, x))
    return back(jnp.maximum(jnp.mean(distances, axis=-1, keepdims=True) - distances, 0))


def pool(maps: Real[AnyArray, "... H W C"], grid: int) -> Float[Array, "... {grid} {grid} C"]:
    """Sum maps over the cells of a grid.

    Args:
        maps: The maps, such as features of the patch at each pixel.
        grid: The number of rows and of columns of cells; it divides height and width.

    Returns:
        The sums, one for each channel in each cell.

    Raises:
        ValueError: If the grid does not divide height and width, or there are fewer than three axes.
        TypeError: If maps are complex, or `grid` is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse import kmeans
        >>> kmeans.pool(jnp.arange(16.0).reshape(4, 4, 1), 2)[..., 0]
        Array([[10., 18.],
               [42., 50.]], dtype=float32)
    """
    (maps,), back = real_arrays(maps=maps)
    checks.axes("maps", maps, "...", "H", "W", "C")
    *leading, H, W, C = maps.shape
    grid = checks.count("grid", grid)
    if H % grid or W % grid:
        raise ValueError(f"grid is {grid}: take a divisor of height and width, {H} and {W}")
    cells = maps.reshape(*leading, grid, H // grid, grid, W // grid, C)
    return back(jnp.sum(cells, axis=(-4, -2)))


@record
class Encoder:
    """Features of images by the centroids of their patches."""

    whitening: whitening.Whitening
    """The map that whitens patches of contrast one."""
    centroids: Float[Array, "clusters hwC"]
    """The centroids of whitened patches."""
    patch_size: tuple[int, int] = static()
    """The height and width of a patch."""


def fit_encoder(
    key: RandomKey,
    images: Real[AnyArray, "n H W C"],
    clusters: int,
    patch_size: patch_vectors.PatchSize,
    *,
    patches: int = 40_000,
    steps: int = 50,
    contrast: RealScalar = 0.05,
    regularization: RealScalar = 0.1,
) -> Encoder:
    """Cluster patches of images, for features of images.

    Patches at random places, without the blank ones, are divided by their contrast, whitened, and clustered
    by Lloyd's method, starting from k-means++.

    Args:
        key: The random key, for the patches and for the first centroids.
        images: The images.
        clusters: The number of centroids, at least 1.
        patch_size: The height and width of a patch.
        patches: The number of patches to cluster.
        steps: The number of steps of Lloyd's method.
        contrast: The standard deviation of a patch up to which it counts as blank.
        regularization: The number that is added to the variances of patches when they are whitened.

    Returns:
        The encoder, for `encode`.

    Raises:
        ValueError: If patches do not fit, or a number is out of range.
        TypeError: If images are complex, or a count is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import kmeans
        >>> images = jax.random.normal(jax.random.key(0), (10, 8, 8, 1))
        >>> encoder = kmeans.fit_encoder(jax.random.key(1), images, 6, 3, patches=200, steps=5)
        >>> kmeans.encode(encoder, images, grid=2).shape
        (10, 2, 2, 6)

    References:
        Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, 2011.
    """
    checks.random_key("key", key)
    checks.nonnegative("contrast", contrast, one=True)
    count = checks.count("patches", patches)
    clusters = checks.count("clusters", clusters, most=count)
    for_patches, for_centroids = jax.random.split(key)
    # Three times as many, of which blank ones are taken last: much of a drawing is blank.
    found = patch_vectors.sample(for_patches, images, 3 * count, patch_size)
    found = found[jnp.argsort(jnp.std(found, axis=1) <= contrast, stable=True)[:count]]
    found = patch_vectors.normalize_contrast(found)
    transform = whitening.fit_whitening(found, regularization=regularization)
    white = whitening.whiten(transform, found)
    learner = lloyd()
    state, _ = run(learner, learner.init(spread(for_centroids, white, clusters)), white, steps=steps)
    size = checks.sizes("patch_size", patch_size, ("height", "width"), square=True)
    return Encoder(transform, state.centroids, size)


def encode(
    encoder: Encoder, images: Real[AnyArray, "... H W C"], *, grid: int
) -> Float[Array, "... {grid} {grid} clusters"]:
    """Return features of images: nearness of the patch at each pixel to centroids, summed over cells.

    Args:
        encoder: The encoder, from `fit_encoder`.
        images: The images; zeros lie around them, so that each pixel has a patch.
        grid: The number of rows and of columns of cells; it divides height and width.

    Returns:
        The features, one for each centroid in each cell.

    Raises:
        ValueError: If shapes do not match, or the grid does not divide height and width.
        TypeError: If images are complex, or `grid` is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.sparse import kmeans
        >>> images = jax.random.normal(jax.random.key(0), (10, 8, 8, 1))
        >>> encoder = kmeans.fit_encoder(jax.random.key(1), images, 6, 3, patches=200, steps=5)
        >>> bool((kmeans.encode(encoder, images, grid=1) >= 0).all())
        True

    References:
        Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, 2011.
    """
    (encoder, images), back = real_arrays(encoder=encoder, images=images)
    checks.axes("images", images, "...", "H", "W", "C")
    around = [((size - 1) // 2, size - 1 - (size - 1) // 2) for size in encoder.patch_size]
    padded = jnp.pad(images, [*[(0, 0)] * (images.ndim - 3), *around, (0, 0)])
    found = patch_vectors.normalize_contrast(patch_vectors.extract(padded, encoder.patch_size))
    white = whitening.whiten(encoder.whitening, found)
    return back(pool(triangle(encoder.centroids, white), grid))
