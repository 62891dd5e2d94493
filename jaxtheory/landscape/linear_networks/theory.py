r"""Where the critical points of deep linear networks are: subsets of the eigenvectors of $\Sigma$."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, Booleans
from jaxtheory.landscape.linear_networks.model import Weights, end_to_end


@record
class Moments:
    """What the squared loss of a linear map depends on."""

    root: Float[AnyArray, "inputs inputs"]
    """The symmetric root of the inputs' second moment."""
    least_squares: Float[AnyArray, "outputs inputs"]
    """The linear map of least loss, R."""
    floor: Float[AnyArray, ""]
    """The loss of the map of least loss."""
    values: Float[AnyArray, " outputs"]
    """The eigenvalues of Σ, the largest first."""
    vectors: Float[AnyArray, "outputs outputs"]
    """The eigenvectors of Σ in the columns."""


class Margins(NamedTuple):
    """How far data are from where the theory does not hold."""

    inputs: Float[Array, ""]
    """The least over the largest eigenvalue of the inputs' second moment."""
    cross: Float[Array, ""]
    """The least over the largest singular value of the second moment of targets and inputs."""
    gap: Float[Array, ""]
    """The least difference of two eigenvalues of Σ over the largest one; 1 for one output."""


class Assigned(NamedTuple):
    """The subset to which a map is nearest."""

    position: Int[Array, "..."]
    """The position among the subsets."""
    distance: Float[Array, "..."]
    """The distance in the Frobenius norm, over the norm of the map of least loss."""


def moments(x: Real[AnyArray, "n inputs"], targets: Real[AnyArray, "n outputs"]) -> Moments:
    r"""Return the moments of data that the squared loss of a linear map depends on.

    They are $\Sigma_{xx}^{1/2}$, $R = \Sigma_{yx} \Sigma_{xx}^{-1}$, the loss of R, and the eigenvalues and
    eigenvectors of $\Sigma = R \Sigma_{xy}$.

    Args:
        x: The inputs, one example per row; their second moment is to be of full rank.
        targets: The targets.

    Returns:
        The moments. Where the second moment is singular, they are not finite or meaningless.

    Raises:
        ValueError: If shapes do not match, or there are fewer examples than inputs.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> found = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> found.values
        Array([8., 2.], dtype=float32)

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    (x, targets), back = real_arrays(x=x, targets=targets)
    checks.axes("x", x, "n", "inputs")
    checks.axes("targets", targets, "n", "outputs", sizes=(x.shape[0], None))
    n, inputs = x.shape
    if n < inputs:
        raise ValueError(f"x holds {n} examples of {inputs} inputs: take at least {inputs}")
    return back(_moments(x, targets))


@jax.jit
def _moments(x: Array, targets: Array) -> Moments:
    n = x.shape[0]
    second, cross = matmul(x.T, x) / n, matmul(targets.T, x) / n
    variances, directions = jnp.linalg.eigh(second)
    root = matmul(directions * jnp.sqrt(variances), directions.T)
    least_squares = matmul(matmul(cross, directions) / variances, directions.T)
    sigma = matmul(least_squares, cross.T)
    values, vectors = jnp.linalg.eigh((sigma + sigma.T) / 2)
    floor = jnp.sum((targets - matmul(x, least_squares.T)) ** 2) / (2 * n)
    return Moments(root, least_squares, floor, values[::-1], vectors[:, ::-1])


def margins(moments: Moments) -> Margins:
    r"""Return how far data are from where the theory does not hold: numbers that must not vanish.

    Args:
        moments: The moments of the data.

    Returns:
        The margins, each from 0 to 1.

    Raises:
        ValueError: If there are more outputs than inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> [float(one) for one in linear_networks.margins(data)]
        [1.0, 0.5, 0.75]

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    root, least_squares, values = map(jnp.asarray, (moments.root, moments.least_squares, moments.values))
    outputs, inputs = least_squares.shape
    if outputs > inputs:
        raise ValueError(
            f"moments are of {outputs} outputs and {inputs} inputs: take at most as many outputs"
        )
    variances = jnp.linalg.eigvalsh(root) ** 2
    singular = jnp.linalg.svd(matmul(least_squares, matmul(root, root)), compute_uv=False)
    gap = jnp.min(values[:-1] - values[1:], initial=jnp.inf)
    return Margins(variances[0] / variances[-1], singular[-1] / singular[0], jnp.minimum(gap / values[0], 1))


def moment_loss(params: Weights, moments: Moments) -> Float[Array, ""]:
    r"""Return half of the mean squared error from the moments of the data.

    It is $f + \frac12 \|(W_L \cdots W_1 - R) \Sigma_{xx}^{1/2}\|^2$ with the loss f of R, and equals `loss`
    on the data at a cost that does not depend on their number.

    Args:
        params: The matrices, the first layer's first.
        moments: The moments of the data.

    Returns:
        The loss.

    Raises:
        ValueError: If shapes do not match.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> float(linear_networks.moment_loss([jnp.zeros((1, 2)), jnp.zeros((2, 1))], data))
        5.0

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    computed = end_to_end(params)
    checks.axes("the network's map", computed, "outputs", "inputs", sizes=jnp.shape(moments.least_squares))
    return moments.floor + jnp.sum(matmul(computed - moments.least_squares, moments.root) ** 2) / 2


def subsets(outputs: int, width: int) -> Bool[np.ndarray, "subsets outputs"]:
    r"""List the subsets of the eigenvectors that a network can keep: at most `width` of them.

    Args:
        outputs: The number of outputs, at least 1.
        width: The smallest of the hidden widths, at least 1.

    Returns:
        A mask for each subset, by size and then in lexical order: the empty one first.

    Raises:
        ValueError: If a number is below 1.
        TypeError: If a number is not whole.

    Example:
        >>> from jaxtheory.landscape import linear_networks
        >>> linear_networks.subsets(2, 1).tolist()
        [[False, False], [True, False], [False, True]]

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    outputs, width = checks.count("outputs", outputs), checks.count("width", width)
    chosen = [
        one for size in range(min(outputs, width) + 1) for one in itertools.combinations(range(outputs), size)
    ]
    masks = np.zeros((len(chosen), outputs), bool)
    for mask, one in zip(masks, chosen):
        mask[list(one)] = True
    return masks


def subset_map(moments: Moments, subset: Booleans) -> Float[Array, "... outputs inputs"]:
    r"""Return the map that a network computes at the critical points of a subset, $U_S U_S^T R$.

    Args:
        moments: The moments of the data.
        subset: The mask of the eigenvectors in the subset, the largest eigenvalue's first.

    Returns:
        The map; leading axes of the masks lead.

    Raises:
        ValueError: If the mask has another length than there are outputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> linear_networks.subset_map(data, jnp.array([True, False])).tolist()
        [[0.0, 0.0], [0.0, 4.0]]

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    mask = _mask(moments, subset)
    kept = matmul(moments.vectors * mask[..., None, :], moments.vectors.T)
    return matmul(kept, moments.least_squares)


def subset_loss(moments: Moments, subset: Booleans) -> Float[Array, "..."]:
    r"""Return the loss at the critical points of a subset, $f + \frac12 \sum_{i \notin S} \lambda_i$.

    Args:
        moments: The moments of the data.
        subset: The mask of the eigenvectors in the subset, the largest eigenvalue's first.

    Returns:
        The loss; leading axes of the masks lead.

    Raises:
        ValueError: If the mask has another length than there are outputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> linear_networks.subset_loss(data, jnp.array([[True, False], [True, True]])).tolist()
        [1.0, 0.0]

    References:
        Baldi and Hornik, Neural networks and principal component analysis, 1989.
    """
    return moments.floor + jnp.sum(jnp.where(_mask(moments, subset) > 0, 0, moments.values), axis=-1) / 2


def assign(moments: Moments, computed: Real[AnyArray, "... outputs inputs"], among: Booleans) -> Assigned:
    r"""Find the subset whose map is nearest to the one that a network computes.

    Args:
        moments: The moments of the data.
        computed: The network's end-to-end map.
        among: The masks of the subsets, as `subsets` lists them.

    Returns:
        The position of the nearest subset, and how far its map is, relative to the map of least loss.

    Raises:
        ValueError: If shapes do not match.
        TypeError: If the map is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> data = linear_networks.moments(jnp.eye(2), jnp.array([[2.0, 0.0], [0.0, 4.0]]))
        >>> among = linear_networks.subsets(2, 2)
        >>> found = linear_networks.assign(data, jnp.diag(jnp.array([0.0, 4.0])), among)
        >>> int(found.position), float(found.distance)
        (1, 0.0)

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    (computed,), _ = real_arrays(computed=computed)
    checks.axes("computed", computed, "...", "outputs", "inputs", sizes=jnp.shape(moments.least_squares))
    apart = computed[..., None, :, :] - subset_map(moments, among)
    distances = jnp.sqrt(jnp.sum(apart**2, axis=(-2, -1)) / jnp.sum(moments.least_squares**2))
    return Assigned(jnp.argmin(distances, axis=-1), jnp.min(distances, axis=-1))


def _mask(moments: Moments, subset: Booleans) -> Array:
    """A mask as numbers."""
    mask = as_array("subset", subset)
    checks.axes("subset", mask, "...", "outputs", sizes=jnp.shape(moments.values))
    return jnp.asarray(mask, jnp.asarray(moments.values).dtype)
