"""K-SVD: codes of a few atoms each, then each atom with its codes as the best approximation of rank one."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.sparse import pursuit
from jaxtheory.sparse.dictionary_learning.sampling import replace_idle
from jaxtheory.sparse.learning import Learner, bind
from jaxtheory.sparse.signals import finite_rows, rows


@record
class KSVDState:
    """The state from which K-SVD continues."""

    dictionary: Float[Array, "atoms features"]
    """The atoms, of unit length."""
    step: Int[Array, ""]
    """The number of steps taken."""


def ksvd(sparsity: int, *, tolerance: RealScalar = 0.0, uses: int = 1, mu: RealScalar = 0.99) -> Learner:
    r"""Learn a dictionary for codes of few atoms, by K-SVD.

    It minimizes $\sum_x \|x - zD\|^2$ over dictionaries of unit atoms and codes of at most `sparsity` of
    them. Codes are those of orthogonal matching pursuit. Then, atom by atom, $E$ being what the other atoms
    leave of the signals that use this one, the atom and its codes become the best approximation of rank one,
    $E \approx z^T d$, which never raises the error. Last, an atom that fewer than `uses` signals use, or that
    nearly equals an earlier one, becomes the signal with the largest residual.

    Args:
        sparsity: The largest number of atoms of a signal, from 1 to the number of atoms.
        tolerance: A signal takes no further atom once its residual's norm is at most this.
        uses: An atom that fewer signals use is replaced.
        mu: Two atoms whose inner product is larger in size than this, from 0 to 1, count as one.

    Returns:
        The learner, for all signals at each step. `init(dictionary)` scales the atoms to unit length and
        returns a `KSVDState`. `step(state, signals)` has as metrics root mean squares of the residual's
        entries, `"coded"` with the dictionary before and `"error"` after the atoms were fitted and before any
        was replaced, and `"replaced"`, how many were.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If a count is not a whole number, or a number is complex.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.dictionary_learning import ksvd
        >>> learner = ksvd(1)
        >>> signals = jnp.array([[2.0, 1.0], [-4.0, -2.0], [0.0, 3.0]])
        >>> state, metrics = learner.step(learner.init(jnp.eye(2)), signals)
        >>> state.dictionary.round(3).tolist(), abs(metrics["error"].round(3).item())
        ([[0.894, 0.447], [0.0, 1.0]], 0.0)

    References:
        Aharon, Elad and Bruckstein, K-SVD: an algorithm for designing overcomplete dictionaries for sparse
        representation, 2006.
    """
    checks.nonnegative("tolerance", tolerance, one=True)
    checks.within("mu", mu, 0, 1, one=True)
    options = {"sparsity": checks.count("sparsity", sparsity)}
    step = bind(_step, static=options, tolerance=tolerance, uses=checks.count("uses", uses), mu=mu)
    return Learner(bind(_init), step)


def _init(dictionary: Real[AnyArray, "atoms features"]) -> KSVDState:
    dictionary = rows("dictionary", dictionary)
    length = jnp.linalg.norm(dictionary, axis=1, keepdims=True)
    return KSVDState(dictionary / jnp.where(length > 0, length, 1), jnp.zeros((), jnp.int32))


def _step(
    state: KSVDState, signals: Real[AnyArray, "n features"], *, sparsity: int, **options: object
) -> tuple[KSVDState, dict[str, Array]]:
    atoms, features = state.dictionary.shape
    sparsity = checks.count("sparsity", sparsity, most=atoms)
    signals = rows("signals", signals, features).astype(state.dictionary.dtype)
    return _stepped(state, signals, sparsity=sparsity, **options)


@partial(jax.jit, static_argnames=("sparsity",))
def _stepped(
    state: KSVDState, signals: Array, *, tolerance: Array, uses: Array, mu: Array, sparsity: int
) -> tuple[KSVDState, dict[str, Array]]:
    signals, finite = finite_rows(signals)
    before = state.dictionary
    found = pursuit.orthogonal_matching_pursuit(before, signals, sparsity=sparsity, tolerance=tolerance)
    codes = found.codes.astype(before.dtype)
    residual = signals - matmul(codes, before)
    count = jnp.sum(codes != 0, axis=0)

    def fit(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        atoms, residual = carry
        code = codes[:, j]
        on = (code != 0)[:, None]
        without = jnp.where(on, residual + code[:, None] * atoms[j], 0)
        best = jnp.linalg.eigh(matmul(without.T, without))[1][:, -1]
        best = jnp.where(jnp.sum(best * atoms[j]) < 0, -best, best)
        best = jnp.where(count[j] > 0, best, atoms[j])
        image = matmul(without, best)[:, None] * best
        return atoms.at[j].set(best), jnp.where(on, without - image, residual)

    after, fitted = lax.fori_loop(0, len(before), fit, (before, residual))
    twin = jnp.abs(jnp.tril(matmul(after, after.T), -1)) > mu
    left = jnp.sum(fitted**2, axis=1)
    after, replaced = replace_idle(after, (count < uses) | jnp.any(twin, axis=1), signals, left)
    entries = jnp.maximum(jnp.sum(finite) * signals.shape[1], 1)
    metrics = {
        "coded": jnp.sqrt(jnp.sum(residual**2) / entries),
        "error": jnp.sqrt(jnp.sum(fitted**2) / entries),
        "replaced": jnp.sum(replaced),
    }
    return KSVDState(after, state.step + 1), metrics
