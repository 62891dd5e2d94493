"""Dictionary learning, online: the time to an objective, against scikit-learn's MiniBatchDictionaryLearning.

20,000 patches of photographs, 12 x 12, and the penalty, 0.5, of the bench `lasso`; 256 atoms, which begin as
patches. A call learns one dictionary for each of three seeds. What is compared is the mean lasso objective of
held-out patches under these dictionaries, the median over seeds, which must be at most `GOAL`: what
scikit-learn reaches in three epochs over the patches. Its batches of 256, the default, did better there than
512, and 128 as well. Ours takes enough steps to be safely below it, and stops the codes early.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster

SCIKIT_LEARN = "scikit-learn"
SIZE = 12
ATOMS = 256
PENALTY = 0.5
HELD_OUT = 2_000
SEEDS = (0, 1, 2)
GOAL = 12.88
"""Mean objective of the held-out patches."""
OURS = {"forgetting": 5.0, "tolerance": 0.03, "max_steps": 20}
STEPS, BATCH = 160, 128
"""Our learner's options, the number of its steps, and the patches of one."""
ROUNDS, THEIR_BATCH = 3, 256
"""Scikit-learn's."""
CASES = [
    Case("20,000 patches, 256 atoms", {"patches": 20_000}, [faster(3.0, than=SCIKIT_LEARN)], tolerance=0.02)
]


def signals(patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches to learn from, and those that are held out."""
    from jaxtheory.data import images

    gray = [images.load(name, gray=True) for name in images.names("photograph")]
    x = images.patches(gray, patches + HELD_OUT, SIZE, centered=True).reshape(-1, SIZE**2)
    return np.split(np.float32(x / x.std()), [patches])


@dataclass(frozen=True)
class Learnt:
    """Dictionaries, one a seed; as an array, the median objective of the held-out patches."""

    dictionaries: Sequence[Any]
    held_out: np.ndarray

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Solves the lasso, which is not timed; RuntimeError for what did not reach the goal."""
        del copy
        median = np.median([objective(np.asarray(one), self.held_out) for one in self.dictionaries])
        if not median <= GOAL:
            raise RuntimeError(f"the objective is {median:.4f} and was to be at most {GOAL}: take more steps")
        return np.asarray(median, dtype)


def objective(dictionary: np.ndarray, x: np.ndarray) -> float:
    """The mean least objective of patches, by one lasso for all contestants."""
    from jaxtheory.sparse import pursuit

    dictionary = np.float32(dictionary)
    codes = np.asarray(pursuit.lasso(dictionary, x, PENALTY, tolerance=1e-5).codes)
    misfit = ((x - codes @ dictionary).astype(np.float64) ** 2).sum(1) / 2
    return float(np.mean(misfit + PENALTY * np.abs(codes).sum(1, dtype=np.float64)))


def ours(patches: int) -> Callable[[], Learnt]:
    """Online learning of this package."""
    import jax

    from jaxtheory.sparse import learning
    from jaxtheory.sparse.dictionary_learning import online, sample_atoms

    x, held_out = signals(patches)
    placed = jax.device_put(x)
    learner = online(PENALTY, **OURS)

    def learn(seed: int):
        for_atoms, for_batches = jax.random.split(jax.random.key(seed))
        state = learner.init(sample_atoms(for_atoms, placed, ATOMS))
        return learning.run(learner, state, placed, for_batches, steps=STEPS, batch=BATCH)[0].dictionary

    return lambda: Learnt(jax.block_until_ready([learn(seed) for seed in SEEDS]), held_out)


def scikit_learn(patches: int) -> Callable[[], Learnt]:
    """Scikit-learn's, in double precision: its coordinate descent cycles in single."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    x, held_out = signals(patches)
    wide = x.astype(np.float64)
    textured = wide[np.linalg.norm(wide, axis=1) > 1e-3]

    def learn(seed: int):
        start = textured[np.random.default_rng(seed).choice(len(textured), ATOMS, replace=False)]
        model = MiniBatchDictionaryLearning(
            ATOMS, alpha=PENALTY, batch_size=THEIR_BATCH, max_iter=ROUNDS, fit_algorithm="cd", tol=0.0,
            max_no_improvement=None, random_state=seed,
            dict_init=start / np.linalg.norm(start, axis=1, keepdims=True),
        )  # fmt: skip
        return model.fit(wide).components_

    return lambda: Learnt([learn(seed) for seed in SEEDS], held_out)


CONTESTANTS = {"jaxtheory": Contestant("ours", ours), SCIKIT_LEARN: Contestant("peer", scikit_learn)}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our program, for compilation ahead of time."""
    import jax

    from jaxtheory.sparse import learning
    from jaxtheory.sparse.dictionary_learning import online

    learner = online(PENALTY, **OURS)
    state = jax.eval_shape(learner.init, jax.ShapeDtypeStruct((ATOMS, SIZE**2), np.float32))
    x = jax.ShapeDtypeStruct((20_000, SIZE**2), np.float32)
    return {
        "online": (
            jax.jit(partial(learning.run, learner, steps=STEPS, batch=BATCH)),
            (state, x, jax.ShapeDtypeStruct((2,), np.uint32)),
        )
    }
