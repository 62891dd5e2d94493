"""Learning as Olshausen and Field did: gradient steps on the dictionary, under codes of equal variance."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.linalg import matmul
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.sparse.dictionary_learning.cauchy import cauchy_codes
from jaxtheory.sparse.dictionary_learning.sampling import replace_idle
from jaxtheory.sparse.learning import Learner, bind
from jaxtheory.sparse.signals import finite_rows, mean_over, rows

SILENT = 0.05
"""An atom whose codes' running variance is less than this share of the wanted one is replaced."""


@record
class SparseNetState:
    """The state from which learning as Olshausen and Field did continues."""

    dictionary: Float[Array, "atoms features"]
    """The atoms, of lengths that give each code the same variance."""
    variance: Float[Array, " atoms"]
    """The codes' running variances."""
    step: Int[Array, ""]
    """The number of steps taken."""


def sparsenet(
    rate: RealScalar,
    *,
    penalty: RealScalar = 0.22,
    scale: RealScalar = 1.0,
    variance: RealScalar = 1.0,
    memory: RealScalar = 0.01,
    gain: RealScalar = 0.02,
    tolerance: RealScalar = 1e-3,
    max_steps: int = 200,
) -> Learner:
    r"""Learn a dictionary for heavy-tailed codes of equal variance, by gradient steps.

    It minimizes $\sum_x \min_a \frac12 \|x - aD\|^2 + \lambda \sum_i \log(1 + (a_i / \sigma)^2)$. Codes $a$
    are those of `cauchy_codes`; atoms move by $d_i \leftarrow d_i + \eta \langle a_i (x - aD) \rangle$. Then
    each is given the length that it had before, times $(s_i / s)^\alpha$, with the running variance
    $s_i \leftarrow (1 - m) s_i + m \langle a_i^2 \rangle$ of its code: an atom whose codes vary too much
    grows longer, and they shrink. An atom that falls silent becomes the signal with the largest residual.

    The defaults are the paper's for signals of unit variance: in this form half its
    $\lambda = 0.14\, \sigma$ at $\sigma^2 = 0.1$ is $0.22\, \sigma^2$. For a decreasing rate, continue from
    the state with a learner of a smaller rate.

    Args:
        rate: The size $\eta > 0$ of a step.
        penalty: The weight $\lambda > 0$ of the prior.
        scale: The size $\sigma > 0$ above which a coefficient costs little more.
        variance: The variance $s > 0$ that codes are to have.
        memory: The share $m$ of the newest codes in the running variances, from 0 to 1.
        gain: The exponent $\alpha \geq 0$ with which lengths follow the variances.
        tolerance: The codes of a signal are done once the decrease that a step guarantees is at most this
            share of their objective. All further steps together may lower it ten times as much.
        max_steps: The largest number of steps toward the codes.

    Returns:
        The learner. `init(dictionary)` returns a `SparseNetState`. `step(state, signals)` has as metrics, of
        the codes under the dictionary before, `"objective"`, the mean, `"converged"`, the share of signals
        that came to the tolerance, and `"kurtosis"`, the mean over atoms in use of
        $\langle a^4 \rangle / \langle a^2 \rangle^2$, which is 3 for a Gaussian.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If a number is complex, or `max_steps` is not a whole number.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.sparse.dictionary_learning import sparsenet
        >>> learner = sparsenet(0.1)
        >>> state, _ = learner.step(learner.init(jnp.eye(2)), jnp.array([[3.0, 1.0], [-3.0, -1.0]]))
        >>> state.dictionary.round(2).tolist()
        [[1.0, 0.06], [0.01, 1.0]]

    References:
        Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, 1996.
    """
    numbers = {"rate": rate, "penalty": penalty, "scale": scale, "variance": variance}
    for name, value in numbers.items():
        checks.positive(name, value, one=True)
    checks.within("memory", memory, 0, 1, one=True)
    checks.nonnegative("gain", gain, one=True)
    checks.nonnegative("tolerance", tolerance, one=True)
    options = {"max_steps": checks.count("max_steps", max_steps)}
    step = bind(_step, static=options, memory=memory, gain=gain, tolerance=tolerance, **numbers)
    return Learner(bind(_init, variance=variance), step)


def _init(dictionary: Real[AnyArray, "atoms features"], *, variance: RealScalar) -> SparseNetState:
    dictionary = rows("dictionary", dictionary)
    running = jnp.full(len(dictionary), variance, dictionary.dtype)
    return SparseNetState(dictionary, running, jnp.zeros((), jnp.int32))


def _step(
    state: SparseNetState, signals: Real[AnyArray, "n features"], **options: object
) -> tuple[SparseNetState, dict[str, Array]]:
    dictionary = state.dictionary
    signals = rows("signals", signals, dictionary.shape[1]).astype(dictionary.dtype)
    return _stepped(state, signals, **options)


@partial(jax.jit, static_argnames=("max_steps",))
def _stepped(
    state: SparseNetState, signals: Array, *, max_steps: int, **numbers: Array
) -> tuple[SparseNetState, dict[str, Array]]:
    signals, finite = finite_rows(signals)
    before, dtype = state.dictionary, state.dictionary.dtype
    given = {name: jnp.asarray(number, dtype) for name, number in numbers.items()}
    variance, memory = given["variance"], given["memory"]
    found = cauchy_codes(
        before, signals, given["penalty"], given["scale"], tolerance=given["tolerance"], max_steps=max_steps
    )
    codes = found.codes
    count = jnp.maximum(jnp.sum(finite), 1)
    residual = signals - matmul(codes, before)
    after = before + given["rate"] * matmul(codes.T, residual) / count
    square = jnp.sum(codes**2, axis=0) / count
    running = (1 - memory) * state.variance + memory * square
    old, new = jnp.linalg.norm(before, axis=1), jnp.linalg.norm(after, axis=1)
    length = old * (running / variance) ** given["gain"]
    after = after * (length / jnp.where(new > 0, new, 1))[:, None]
    # The shorter an atom, the less it pays to use it: one that falls behind would vanish.
    idle = (running < SILENT * variance) | (new == 0)
    fresh, replaced = replace_idle(after, idle, signals, jnp.sum(residual**2, axis=1))
    usual = jnp.where(jnp.any(old > 0), jnp.mean(old), 1)
    after = jnp.where(replaced[:, None], usual * fresh, after)
    running = jnp.where(replaced, variance, running)
    relative = codes / jnp.sqrt(jnp.where(square > 0, square, 1))
    metrics = {
        "objective": mean_over(finite, found.objective),
        "converged": jnp.mean((found.converged & finite).astype(dtype)),
        "kurtosis": jnp.sum(relative**4) / (count * jnp.maximum(jnp.sum(square > 0), 1)),
    }
    return SparseNetState(after, running, state.step + 1), metrics
