"""Regression on digits in double precision: with a kernel, and on random features of every number in a grid.

Kernel ridge regression of 5,000 digits has ten outputs and a Gaussian kernel; what is compared are the
coefficients. The features are the first N random Fourier features of n digits, for forty numbers N up to 2n;
what is compared are the errors and squared errors of a thousand other digits for each N that is not within
2 % of n, where least squares is too badly conditioned for two methods to agree.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

BANDWIDTH = 5.0
PENALTY = 1e-6
DIGITS, TESTED, SIDE = 5_000, 1_000, 28
SIZES = 40
APART = 0.02
"""The share of n within which numbers of features are left out of the comparison."""

RIDGE = f"kernel ridge regression, {DIGITS:,} digits, 10 outputs"
FEW = f"random features, n = 1,000, {SIZES} sizes up to 2,000"
MANY = f"random features, n = 4,000, {SIZES} sizes up to 8,000"
CASES = [
    Case(RIDGE, {"task": "ridge", "n": DIGITS}, [faster(1.0)], tolerance=1e-6),
    Case(FEW, {"task": "features", "n": 1_000}, [faster(5.0)], tolerance=1e-6),
    Case(MANY, {"task": "features", "n": 4_000}, [faster(5.0)], tolerance=1e-6),
]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """All digits as rows, and their labels as one-hot vectors."""
    from jaxtheory.data import mnist

    loaded = mnist.load()
    return loaded.images.reshape(-1, SIDE**2).astype(float), np.eye(10)[loaded.labels]


def numbers(n: int) -> tuple[int, ...]:
    """Forty numbers of features up to 2n."""
    return tuple(2 * n * (k + 1) // SIZES for k in range(SIZES))


def fourier(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Random Fourier features of n digits and of a thousand others."""
    rng = np.random.default_rng(0)
    x, _ = digits()
    directions = rng.standard_normal((SIDE**2, 2 * n)) / BANDWIDTH
    phases = rng.uniform(0, 2 * np.pi, 2 * n)
    features = np.sqrt(2) * np.cos(x[np.r_[:n, -TESTED:0]] @ directions + phases)
    return features[:n], features[n:]


def errors(n: int, values: np.ndarray) -> np.ndarray:
    """Errors and squared errors of values (sizes, queries, outputs), for numbers that are not close to n."""
    truth = digits()[1][-TESTED:]
    wrong = np.mean(values.argmax(axis=-1) != truth.argmax(axis=-1), axis=-1)
    squared = ((values - truth) ** 2).sum(axis=-1).mean(axis=-1)
    far = np.abs(np.array(numbers(n)) - n) > APART * n
    return np.stack([wrong, squared])[:, far]


def ours(task: str, n: int) -> Callable[[], np.ndarray]:
    """Regressions of this package."""
    import jax
    import jax.numpy as jnp

    from jaxtheory.statistics import kernel_regression, random_features

    with jax.enable_x64(True):
        x, y = jax.device_put(tuple(part[:n] for part in digits()))
        features, tests = jax.device_put(fourier(n)) if task == "features" else (None, None)

    def ridge() -> np.ndarray:
        with jax.enable_x64(True):
            kernel = kernel_regression.gaussian(BANDWIDTH)
            return np.asarray(kernel_regression.fit(kernel, x, y, PENALTY).coefficients)

    def path() -> np.ndarray:
        with jax.enable_x64(True):
            found = random_features.minimum_norm_path(features, y, numbers(n)).coefficients
            values = jnp.einsum("qf,sfo->sqo", tests, found, precision="highest")
            return errors(n, np.asarray(values))

    return ridge if task == "ridge" else path


def scikit_learn(task: str, n: int) -> Callable[[], np.ndarray]:
    """Scikit-learn's KernelRidge."""
    from sklearn.kernel_ridge import KernelRidge

    if task != "ridge":
        raise NotImplementedError("has no least squares of minimum norm beyond SciPy's")
    x, y = (part[:n] for part in digits())

    def run() -> np.ndarray:
        peer = KernelRidge(alpha=n * PENALTY, kernel="rbf", gamma=1 / (2 * BANDWIDTH**2))
        return peer.fit(x, y).dual_coef_

    return run


def least_squares(driver: str, task: str, n: int) -> Callable[[], np.ndarray]:
    """Forty separate calls of SciPy's `lstsq`."""
    from scipy.linalg import lstsq

    if task != "features":
        raise NotImplementedError("has no kernel")
    if driver == "gelsd" and n > 1_000:
        raise NotImplementedError("takes many minutes, and longer than by orthogonal factors")
    features, tests = fourier(n)
    y = digits()[1][:n]

    def run() -> np.ndarray:
        values = [
            tests[:, :number] @ lstsq(features[:, :number], y, lapack_driver=driver)[0]
            for number in numbers(n)
        ]
        return errors(n, np.stack(values))

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "scikit-learn": Contestant("peer", scikit_learn, threads=(1, 2)),
    "lstsq, by singular values": Contestant("peer", partial(least_squares, "gelsd"), threads=(1, 2)),
    "lstsq, by orthogonal factors": Contestant("peer", partial(least_squares, "gelsy"), threads=(1, 2)),
}


def coefficients(x: Any, y: Any) -> Any:
    """The coefficients of kernel ridge regression, as one function of arrays."""
    from jaxtheory.statistics import kernel_regression

    return kernel_regression.fit(kernel_regression.gaussian(BANDWIDTH), x, y, PENALTY).coefficients


def along_the_path(features: Any, y: Any, sizes: tuple[int, ...]) -> Any:
    """The coefficients of least squares for several numbers of features."""
    from jaxtheory.statistics import random_features

    return random_features.minimum_norm_path(features, y, sizes).coefficients


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time; accelerators have them in single precision."""
    import jax

    def array(*shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, np.float32)

    return {
        RIDGE: (jax.jit(coefficients), (array(DIGITS, SIDE**2), array(DIGITS, 10))),
        FEW: (
            jax.jit(partial(along_the_path, sizes=numbers(1_000))),
            (array(1_000, 2_000), array(1_000, 10)),
        ),
    }


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 20)), rng.standard_normal((30, 2))
    features = rng.standard_normal((30, 60))
    return {
        "kernel ridge regression of 30 points": Check(coefficients, (x, y)),
        "least squares with up to 60 features": Check(
            partial(along_the_path, sizes=(10, 20, 45, 60)), (features, y), tolerance=1e-3
        ),
    }
