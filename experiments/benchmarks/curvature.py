"""Curvature of a network's loss: Hessian-vector products, a spectral density and the largest eigenvalues.

The network is a perceptron 784-300-100-10 with ReLUs at He's random weights, the loss the cross entropy of
4,000 digits in 8 batches. The vectors are standard normal. The limit is made of `jnp.dot` on the shapes of
the product's own matrices alone, as they are when what all products have in common is kept.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster
from jaxtheory.lab.machines.programs import Check

WIDTHS = (784, 300, 100, 10)
EXAMPLES, BATCHES = 4_000, 8
VECTORS = 4
PROBES, STEPS = 4, 40
PAIRS, ACCURACY = 5, 1e-3
BYTES = 2**30
"""What may be kept where many products follow each other."""
PRODUCTS = "bare products of matrices"

ONE = "Hessian-vector product, one vector"
SEVERAL = f"Hessian-vector products, {VECTORS} vectors at once"
KEPT = f"Hessian-vector products, {VECTORS} vectors at once, linearized before"
DENSITY = f"spectral density, {PROBES} probes x {STEPS} steps"
EIGENVALUES = f"the {PAIRS} largest eigenvalues, residuals within {ACCURACY:g} of the largest"
CASES = [
    Case(ONE, {"task": "product", "vectors": 1}, [faster(2.5)], tolerance=1e-4),
    Case(SEVERAL, {"task": "product", "vectors": VECTORS}, [faster(1.7, aim=2.2)], tolerance=1e-4),
    Case(KEPT, {"task": "kept", "vectors": VECTORS}, [faster(0.7, PRODUCTS, aim=0.85)]),
    # The outermost nodes are the same whatever the probes, once they have converged.
    Case(DENSITY, {"task": "density"}, [faster(2.5)], tolerance=0.02),
    Case(EIGENVALUES, {"task": "eigenvalues"}, [faster(2.0)], tolerance=1e-3),
]


def flops(vectors: int = 1, widths: tuple[int, ...] = WIDTHS, examples: int = EXAMPLES) -> int:
    """Count the operations of products with the Hessian after linearizing, those of matrices alone.

    A layer of n × m weights takes 2 n m operations for each example and product of matrices: two such
    products in the first layer, whose inputs do not vary (forward, and for the weights' gradient), and six in
    the others (two forward, two for the weights' gradient, two backward).

    Args:
        vectors: The number of vectors.
        widths: The widths of the network's layers.
        examples: The number of examples.

    Returns:
        The number of floating-point operations.
    """
    sizes = [one * other for one, other in pairwise(widths)]
    return 2 * examples * vectors * (2 * sizes[0] + 6 * sum(sizes[1:]))


def digits(examples: int = EXAMPLES, batches: int = BATCHES) -> tuple[np.ndarray, np.ndarray]:
    """Digits and labels with leading axes (batches, examples)."""
    from jaxtheory.data import mnist

    loaded = mnist.load()
    images, labels = loaded.train_images[:examples], loaded.train_labels[:examples]
    return images.reshape(batches, -1, WIDTHS[0]), labels.reshape(batches, -1)


def weights(widths: tuple[int, ...] = WIDTHS) -> list[dict[str, np.ndarray]]:
    """The parameters of each layer."""
    rng = np.random.default_rng(0)
    return [
        {"bias": np.zeros(m, np.float32), "kernel": np.float32(rng.standard_normal((n, m)) * np.sqrt(2 / n))}
        for n, m in pairwise(widths)
    ]


def directions(vectors: int) -> np.ndarray:
    """The vectors that are multiplied, one a row, in the order of the parameters' leaves."""
    size = sum(leaf.size for layer in weights() for leaf in layer.values())
    return np.random.default_rng(1).standard_normal((vectors, size)).astype(np.float32)


def loss(params: Any, batch: Any) -> Any:
    """The mean cross entropy of a perceptron."""
    import jax
    import jax.numpy as jnp

    x, labels = batch
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    logits = x @ params[-1]["kernel"] + params[-1]["bias"]
    chosen = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)


def ours(task: str, vectors: int = 1) -> Callable[[], Any]:
    """Products and spectra of this package."""
    import jax
    import jax.numpy as jnp

    from jaxtheory.landscape import curvature, spectrum

    placed = jax.device_put((weights(), digits()))
    if task in ("product", "kept"):
        operator = curvature.hessian(loss, *placed, keep=task == "kept")
        several = operator.unflat(jnp.asarray(directions(vectors)))
        chosen = several if vectors > 1 else jax.tree.map(lambda leaf: leaf[0], several)
        return lambda: _rows(operator.matvec(chosen), vectors)

    def run() -> Any:
        operator = curvature.hessian(loss, *placed, keep=BYTES)
        key = jax.random.key(0)
        if task == "density":
            return jnp.max(spectrum.density(operator, key, probes=PROBES, steps=STEPS).nodes)
        return spectrum.top_eigenpairs(operator, PAIRS, key, tolerance=ACCURACY).values

    return run


def _rows(products: Any, vectors: int) -> Any:
    """Products as rows, for the comparison; leaves stay as they are until then."""
    import jax

    return np.concatenate(
        [np.asarray(leaf).reshape(vectors, -1) for leaf in jax.tree.leaves(products)], axis=1
    )


def bare_products(task: str, vectors: int = 1) -> Callable[[], Any]:
    """The products of matrices that ours cannot do without, each on arrays of its own."""
    import jax
    import jax.numpy as jnp

    if task != "kept":
        raise NotImplementedError("not timed: with what ours computes anew, the limit has more than these")
    rng, n = np.random.default_rng(0), EXAMPLES // BATCHES
    each = jax.jit(lambda one, other: jax.lax.map(lambda pair: jnp.dot(*pair), (one, other)))

    def stack(rows: int, columns: int) -> Any:
        return jax.device_put(np.float32(rng.standard_normal((BATCHES, rows, columns))))

    pairs = []
    for layer, (i, o) in enumerate(pairwise(WIDTHS)):
        x, slope, kernel = stack(n, i), stack(n, o), stack(i, o)
        forward, gradient = (x, kernel), (jnp.swapaxes(x, 1, 2), slope)
        backward = (slope, jnp.swapaxes(kernel, 1, 2))
        pairs += [forward, gradient] if layer == 0 else 2 * [forward, gradient, backward]

    def run() -> Any:
        return [each(*pair)[0, 0, 0] for pair in vectors * pairs]

    return run


def of_torch() -> tuple[Any, Any, list[Any], list[Any]]:
    """The network, its loss, its parameters and the batches, for PyTorch."""
    import torch

    layers = []
    for layer in weights():
        linear = torch.nn.Linear(*layer["kernel"].shape)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(layer["kernel"].T))
            linear.bias.copy_(torch.as_tensor(layer["bias"]))
        layers += [linear, torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    x, labels = digits()
    batches = [(torch.as_tensor(one), torch.as_tensor(other).long()) for one, other in zip(x, labels)]
    return network, torch.nn.CrossEntropyLoss(), list(network.parameters()), batches


def to_torch(rows: np.ndarray) -> np.ndarray:
    """Vectors in the order of PyTorch's parameters: weights before biases, and transposed."""
    parts, place = [], 0
    for n, m in pairwise(WIDTHS):
        bias, kernel = rows[:, place : place + m], rows[:, place + m : place + m + n * m]
        parts += [kernel.reshape(-1, n, m).swapaxes(1, 2).reshape(len(rows), -1), bias]
        place += m + n * m
    return np.concatenate(parts, axis=1)


def from_torch(rows: Any) -> np.ndarray:
    """Vectors of PyTorch's parameters in the order of ours."""
    rows, parts, place = np.asarray(rows), [], 0
    for n, m in pairwise(WIDTHS):
        kernel, bias = rows[:, place : place + n * m], rows[:, place + n * m : place + n * m + m]
        parts += [bias, kernel.reshape(-1, m, n).swapaxes(1, 2).reshape(len(rows), -1)]
        place += m + n * m
    return np.concatenate(parts, axis=1)


def only_products(task: str) -> None:
    """Leave out what a contestant has no function for."""
    if task == "kept":
        raise NotImplementedError("keeps nothing from one product to the next")


def curvlinops(task: str, vectors: int = 1) -> Callable[[], Any]:
    """Curvlinops: its Hessian with all vectors at once, Papyan's Lanczos, and SciPy's for eigenvalues."""
    import scipy.sparse.linalg
    import torch
    from curvlinops import HessianLinearOperator

    only_products(task)
    network, criterion, params, batches = of_torch()
    operator = HessianLinearOperator(network, criterion, params, batches, check_deterministic=False)
    if task == "product":
        columns = torch.as_tensor(to_torch(directions(vectors)).T.copy())
        return lambda: from_torch((operator @ columns).T.contiguous())
    if task == "eigenvalues":

        def eigenvalues() -> np.ndarray:
            options = {"which": "LA", "tol": ACCURACY, "return_eigenvectors": False}
            return scipy.sparse.linalg.eigsh(operator.to_scipy(), PAIRS, **options)[::-1].copy()

        return eigenvalues

    def density() -> np.ndarray:
        # `fast_lanczos` of the library, for all probes at once rather than one after the other.
        v = torch.randn(operator.shape[0], PROBES, generator=torch.Generator().manual_seed(0))
        v, before, beta = v / v.norm(dim=0), torch.zeros_like(v), torch.zeros(PROBES)
        alphas, betas = [], []
        for _ in range(STEPS):
            after = operator @ v - beta * before
            alphas.append((after * v).sum(dim=0))
            after = after - alphas[-1] * v
            beta = after.norm(dim=0)
            betas.append(beta)
            before, v = v, after / beta
        diagonal, beside = torch.stack(alphas), torch.stack(betas[:-1])
        bands = [torch.diag_embed(beside.T, offset) for offset in (-1, 1)]
        return torch.linalg.eigvalsh(torch.diag_embed(diagonal.T) + sum(bands)).max().numpy()

    return density


def hessian_eigenthings(task: str, vectors: int = 1) -> Callable[[], Any]:
    """Hessian-eigenthings: one vector after the other, its density, and its Lanczos method."""
    import hessian_eigenthings as library
    import torch

    only_products(task)
    network, criterion, _, batches = of_torch()

    def of_batch(model: Any, batch: Any) -> Any:
        return criterion(model(batch[0]), batch[1])

    operator = library.HessianOperator(network, batches, of_batch)
    if task == "product":
        rows = torch.as_tensor(to_torch(directions(vectors)))
        return lambda: from_torch(torch.stack([operator.matvec(row) for row in rows]))
    if task == "density":

        def density() -> np.ndarray:
            found = library.spectral_density(operator, num_runs=PROBES, lanczos_steps=STEPS, seed=0)
            return found.raw_eigenvalues.max().numpy()

        return density

    def eigenvalues() -> np.ndarray:
        # It takes as many steps as it is told: the first number of them that meets the accuracy counts.
        found = library.lanczos(operator, k=PAIRS, max_iter=steps, which="LA", seed=0, reorthogonalize=True)
        return found.eigenvalues.numpy()

    for steps in (20, 25, 30, 35, 40, 50, 60):
        found = library.lanczos(operator, k=PAIRS, max_iter=steps, which="LA", seed=0, reorthogonalize=True)
        if found.residuals.max() <= ACCURACY * found.eigenvalues.max():
            return eigenvalues
    raise NotImplementedError("did not meet the accuracy in 60 steps")


def torch_backward(task: str, vectors: int = 1) -> Callable[[], Any]:
    """PyTorch by itself: the gradient of the gradient's inner products with the vectors."""
    import torch

    if task != "product":
        raise NotImplementedError("has products only")
    network, criterion, params, batches = of_torch()
    rows = torch.as_tensor(to_torch(directions(vectors)))
    parts = [
        part.reshape(len(rows), *one.shape)
        for part, one in zip(rows.split([one.numel() for one in params], dim=1), params)
    ]

    def run() -> np.ndarray:
        total = 0
        for x, labels in batches:
            slope = torch.autograd.grad(criterion(network(x), labels), params, create_graph=True)
            products = torch.autograd.grad(slope, params, parts, is_grads_batched=True)
            total = total + torch.cat([one.reshape(len(rows), -1) for one in products], dim=1) / len(batches)
        return from_torch(total)

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "curvlinops": Contestant("peer", curvlinops, threads=(1, 2)),
    "hessian-eigenthings": Contestant("peer", hessian_eigenthings, threads=(1, 2)),
    "torch, twice backward": Contestant("peer", torch_backward, threads=(1, 2)),
    PRODUCTS: Contestant("limit", bare_products),
}


def products(params: Any, batches: Any, vectors: Any) -> Any:
    """Several products with the Hessian, as one function of arrays."""
    from jaxtheory.landscape import curvature

    return curvature.hessian(loss, params, batches).matvec(vectors)


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time."""
    import jax

    def shapes(widths: tuple[int, ...], batches: int, examples: int, vectors: int) -> tuple[Any, ...]:
        def array(*shape: int) -> Any:
            return jax.ShapeDtypeStruct(shape, np.float32)

        params = [{"bias": array(m), "kernel": array(n, m)} for n, m in pairwise(widths)]
        ahead = jax.tree.map(lambda leaf: array(vectors, *leaf.shape), params)
        labels = jax.ShapeDtypeStruct((batches, examples), np.int32)
        return params, (array(batches, examples, widths[0]), labels), ahead

    return {
        SEVERAL: (jax.jit(products), shapes(WIDTHS, BATCHES, EXAMPLES // BATCHES, VECTORS)),
        "ten million parameters, 60,000 examples": (
            jax.jit(products),
            shapes((784, 3000, 2500, 10), 60, 1000, 1),
        ),
    }


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    rng = np.random.default_rng(0)
    params = weights((6, 5, 3))
    batches = np.float32(rng.standard_normal((2, 10, 6))), rng.integers(0, 3, (2, 10))
    vectors = [
        {name: rng.standard_normal((3, *leaf.shape)) for name, leaf in layer.items()} for layer in params
    ]
    return {"products with a small Hessian": Check(products, (params, batches, vectors))}
