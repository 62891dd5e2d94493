"""The lasso: sparse codes of many patches by one dictionary, and a path of penalties for one long signal.

Patches of photographs, each without its mean, of unit variance overall; atoms are other patches,
of unit length. The random dictionary of the long signal is the setting in which coordinate descent with
screening is at home. What is compared is the mean objective at each penalty, in double precision.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster

PENALTY = 0.5
SIZE = 12
ATOMS = 288
PATCHES = "10,000 patches 12 x 12, 288 atoms"
PATH = "a path of 50 penalties, 2,000 x 10,000"
CASES = [
    Case(PATCHES, {"patches": 10_000}, [faster(4.0, aim=8.0)], tolerance=1e-5),
    Case(PATH, {"features": 2_000, "atoms": 10_000, "penalties": 50}, tolerance=1e-4),
]
Inputs = tuple[np.ndarray, np.ndarray, np.ndarray]


def many(patches: int) -> Inputs:
    """The dictionary, the patches and their penalty."""
    from jaxtheory.data import images

    gray = [images.load(name, gray=True) for name in images.names("photograph")]
    signals = images.patches(gray, patches, SIZE, centered=True).reshape(patches, -1)
    atoms = images.patches(gray, 4 * ATOMS, SIZE, seed=1, centered=True).reshape(4 * ATOMS, -1)
    lengths = np.linalg.norm(atoms, axis=1)
    busy = lengths > np.median(lengths)
    dictionary = (atoms[busy] / lengths[busy, None])[:ATOMS]
    return np.float32(dictionary), np.float32(signals / signals.std()), np.float32([PENALTY])


def one(features: int, atoms: int, penalties: int) -> Inputs:
    """A random dictionary, a signal of a hundred of its atoms with noise, and falling penalties."""
    rng = np.random.default_rng(0)
    dictionary = rng.standard_normal((atoms, features))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = np.zeros(atoms)
    codes[rng.choice(atoms, 100, replace=False)] = rng.standard_normal(100)
    signal = codes @ dictionary
    signal += 0.1 * np.linalg.norm(signal) / np.sqrt(features) * rng.standard_normal(features)
    largest = np.abs(dictionary @ signal).max()
    path = largest * np.geomspace(1, 0.01, penalties)
    return np.float32(dictionary), np.float32(signal[None]), np.float32(path)


def inputs(**case: int) -> Inputs:
    """What every contestant solves: a dictionary, signals, and penalties to take in order."""
    return many(**case) if "patches" in case else one(**case)


def objectives(dictionary: np.ndarray, signals: np.ndarray, penalties: np.ndarray, codes: Any) -> np.ndarray:
    """The mean objective over the signals at each penalty, codes being `(penalties, signals, atoms)`."""
    misfits = [((signals - each @ dictionary).astype(np.float64) ** 2).sum(1) / 2 for each in codes]
    lengths = [np.abs(each).sum(1, dtype=np.float64) for each in codes]
    return np.array([
        np.mean(misfit + penalty * length) for misfit, penalty, length in zip(misfits, penalties, lengths)
    ])  # fmt: skip


def ours(**case: int) -> Callable[[], np.ndarray]:
    """The solver of this package, to a gap of 1e-6 of the objective."""
    import jax

    from jaxtheory.sparse import pursuit

    dictionary, signals, penalties = inputs(**case)
    placed = jax.device_put((dictionary, signals, penalties))

    def run() -> np.ndarray:
        codes = np.asarray(pursuit.lasso_path(*placed, tolerance=1e-6).codes)
        return objectives(dictionary, signals, penalties, codes)

    return run


def scikit_learn(algorithm: str, **case: int) -> Callable[[], np.ndarray]:
    """Scikit-learn's `sparse_encode` on all cores, in double precision: in single it takes longer."""
    from sklearn.decomposition import sparse_encode

    if "patches" not in case:
        raise NotImplementedError("has no path in this function")
    dictionary, signals, penalties = (array.astype(np.float64) for array in inputs(**case))

    def run() -> np.ndarray:
        codes = sparse_encode(
            signals, dictionary, algorithm=algorithm, alpha=float(penalties[0]), max_iter=10_000, n_jobs=-1
        )
        return objectives(dictionary, signals, penalties, codes[None])

    return run


def sporco(**case: int) -> Callable[[], np.ndarray]:
    """SPORCO's basis pursuit denoising by ADMM, all signals at once."""
    from sporco.admm import bpdn

    if "patches" not in case:
        raise NotImplementedError("one penalty after the other is not what it is for")
    dictionary, signals, penalties = inputs(**case)
    options = bpdn.BPDN.Options({
        "Verbose": False, "MaxMainIter": 400, "RelStopTol": 1e-4, "AutoRho": {"Enabled": True}
    })  # fmt: skip

    def run() -> np.ndarray:
        solver = bpdn.BPDN(dictionary.T, signals.T, float(penalties[0]), options)
        return objectives(dictionary, signals, penalties, solver.solve().T[None])

    return run


def celer(**case: int) -> Callable[[], np.ndarray]:
    """Celer's path, which screens and works on growing sets of atoms."""
    from celer import celer_path

    if "patches" in case:
        raise NotImplementedError("one signal at a time: not timed on ten thousand")
    dictionary, signals, penalties = inputs(**case)
    design = np.asfortranarray(dictionary.T, np.float64)
    signal = signals[0].astype(np.float64)

    def run() -> np.ndarray:
        # Its penalty is divided by the number of features, its tolerance relative to the signal's energy.
        alphas = penalties.astype(np.float64) / len(signal)
        _, codes, _ = celer_path(design, signal, pb="lasso", alphas=alphas, tol=1e-6)
        return objectives(dictionary, signals, penalties, codes.T[:, None])

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "scikit-learn lasso_cd": Contestant("peer", partial(scikit_learn, "lasso_cd")),
    "scikit-learn lasso_lars": Contestant("peer", partial(scikit_learn, "lasso_lars")),
    "sporco": Contestant("peer", sporco),
    "celer": Contestant("peer", celer),
}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    from jaxtheory.sparse import pursuit

    # Penalties without values cannot be refused; a tolerance is an operand.
    solve = jax.jit(partial(pursuit.lasso_path, tolerance=1e-6))
    shapes = {
        PATCHES: ((ATOMS, SIZE**2), (10_000, SIZE**2), (1,)),
        PATH: ((10_000, 2_000), (1, 2_000), (50,)),
    }
    return {
        name: (solve, tuple(jax.ShapeDtypeStruct(shape, np.float32) for shape in chosen))
        for name, chosen in shapes.items()
    }
