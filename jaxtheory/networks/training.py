r"""Training by gradients, as `init` and `step`: optax's optimizers in one compiled program.

What is trained is any function of parameters. An *objective* takes
`(params, state, batch, key)` and returns `(loss, (state, metrics))`: `objective` makes one of a network,
`stateless` of a plain `loss(params, batch)`. `loss` and `predictor` go the other way: they make of a network
the plain functions that probes and inspections take.

Example:
    >>> import jax, optax
    >>> from functools import partial
    >>> from jaxtheory import networks
    >>> from jaxtheory.networks import training
    >>> from jaxtheory.networks.mlp import MLP
    >>> network = networks.functional(partial(MLP, (2, 16, 2)))
    >>> x = jax.random.normal(jax.random.key(0), (100, 2))
    >>> data = (x, (x[:, 0] * x[:, 1] > 0).astype(int))
    >>> optimizer = optax.adam(0.01)
    >>> objective = training.objective(network.apply, training.cross_entropy, accuracy=training.accuracy)
    >>> params, state = network.init(jax.random.key(1))
    >>> start = training.init(params, jax.random.key(2), optimizer=optimizer, state=state)
    >>> end, metrics = training.run(
    ...     start, data, objective=objective, optimizer=optimizer, batch=20, steps=300
    ... )
    >>> metrics["loss"].shape, bool(metrics["accuracy"][-50:].mean() > 0.9)
    ((300,), True)
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int32, Integer, PyTree, Real, UInt32

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RandomKey

Outputs = Real[AnyArray, "*batch outputs"]
Labels = Integer[AnyArray, "*batch"] | int | np.integer


@record
class TrainingState:
    """The full state of a training, from which it resumes: arrays only, so that it can be stored."""

    params: PyTree
    """The parameters that are trained."""
    state: PyTree
    """What the model keeps besides its parameters, such as batch statistics."""
    optimizer: PyTree
    """The state of the optimizer."""
    step: Int32[Array, ""]
    """The number of steps taken."""
    key: UInt32[Array, " words"]
    """The data of the random key, which never changes: the step is folded in."""
    implementation: str = static()
    """The implementation of the key."""


def init(
    params: PyTree, key: RandomKey, *, optimizer: optax.GradientTransformation, state: PyTree = None
) -> TrainingState:
    """Return the initial state of a training; map over `params`, `key` and `state` for several seeds.

    It is a pytree of arrays. To export a program that takes or returns it, register the named tuples of the
    optimizer's state with `jax.export.register_namedtuple_serialization`.

    Args:
        params: The initial parameters, a pytree of real floating-point arrays.
        key: The random key of the order of examples and of the noise in the network.
        optimizer: One of optax's optimizers.
        state: What the model keeps besides its parameters; by default nothing.

    Returns:
        The state.

    Raises:
        TypeError: If parameters are not real floating point, or `key` is not a random key.

    Example:
        >>> init({"w": jax.numpy.ones(3)}, jax.random.key(0), optimizer=optax.sgd(0.1)).step
        Array(0, dtype=int32)
    """
    checks.random_key("key", key)
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.asarray(as_array(f"params{jax.tree_util.keystr(path)}", leaf)), params
    )
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            name = jax.tree_util.keystr(path)
            raise TypeError(
                f"params{name} is {leaf.dtype}: take real floating-point parameters, and the rest as state"
            )
    return TrainingState(
        params=params,
        state=jax.tree.map(jnp.asarray, {} if state is None else state),
        optimizer=optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(key),
        implementation=str(jax.random.key_impl(key)),
    )


@partial(jax.jit, static_argnames=("objective", "optimizer", "gradient_norm"))
def step(
    training: TrainingState,
    batch: Any,
    *,
    objective: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    gradient_norm: bool = False,
) -> tuple[TrainingState, dict[str, Array]]:
    """Take one step on a minibatch that the caller provides.

    The key of the noise is the second of `split(key)`, with the number of the step folded in. Optimizers
    that ask for the value or for the function itself (line searches) get them.

    Args:
        training: The state before the step.
        batch: The minibatch, as the objective takes it.
        objective: The function `objective(params, state, batch, key) -> (loss, (state, metrics))`.
        optimizer: The optimizer that `init` was given.
        gradient_norm: Whether the gradient's Euclidean norm is measured too.

    Returns:
        The state after, and the metrics at the parameters before: `"loss"`, the objective's, and
        `"gradient_norm"` if asked for.

    Raises:
        TypeError: If the objective does not take the four arguments.
        ValueError: If a metric of the objective is named `"loss"` or `"gradient_norm"`.

    Example:
        >>> descent = optax.sgd(0.1)
        >>> half_square = stateless(lambda params, batch: jax.numpy.sum((params - batch) ** 2) / 2)
        >>> start = init(jax.numpy.ones(2), jax.random.key(0), optimizer=descent)
        >>> step(start, jax.numpy.zeros(2), objective=half_square, optimizer=descent)[0].params
        Array([0.9, 0.9], dtype=float32)
    """
    _check_objective(objective)
    gradient_norm = checks.flag("gradient_norm", gradient_norm)
    noise = jax.random.fold_in(_keys(training)[1], training.step)

    def value(params: Any) -> Any:
        return objective(params, training.state, batch, noise)

    (loss, (state, metrics)), gradient = jax.value_and_grad(value, has_aux=True)(training.params)
    if taken := {"loss", "gradient_norm"} & set(metrics):
        raise ValueError(
            f"objective has a metric named {taken.pop()!r}: take another name, as a step measures this itself"
        )
    metrics = {"loss": loss, **metrics}
    if gradient_norm:
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)), gradient)
        metrics["gradient_norm"] = optax.tree.norm(wide)
    updates, moved = optax.with_extra_args_support(optimizer).update(
        gradient,
        training.optimizer,
        training.params,
        value=loss,
        grad=gradient,
        value_fn=lambda params: value(params)[0],
    )
    after = replace(
        training,
        params=optax.apply_updates(training.params, updates),
        state=state,
        optimizer=moved,
        step=training.step + 1,
    )
    return after, metrics


def run(
    training: TrainingState,
    data: Any,
    *,
    objective: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    steps: int,
    batch: int | None = None,
    gradient_norm: bool = False,
) -> tuple[TrainingState, dict[str, Array]]:
    """Take many steps on minibatches of the data, in one compiled program.

    Each epoch goes through the examples in a new order,
    `permutation(fold_in(split(key)[0], epoch), n)`, `batch` at a time; the last `n % batch` of the order are
    left out of that epoch. The batch depends on key and step number only, so that a training in segments of
    any length is the same training. Keep `objective` and `optimizer` for the next call, which is compiled for
    them: `partial(run, data=data, ...)` is a segment that the lab drives. Map over `training` for several
    seeds; under `jit` with `donate_argnums=0` the state is updated in place.

    Over several devices, `shard_map` it with the data split and an objective that averages over the axis
    (`jax.lax.pmean` of its loss, metrics and state): `n` and `batch` are then those of one device, and all
    devices have the same key of noise, into which the objective may fold `jax.lax.axis_index`.

    Args:
        training: The state before the first step.
        data: The examples, a pytree of arrays with a leading axis of `n`.
        objective: The function `objective(params, state, batch, key) -> (loss, (state, metrics))`.
        optimizer: The optimizer that `init` was given.
        steps: The number of steps to take, at least 1.
        batch: The number of examples in a minibatch, from 1 to `n`; by default all, in their own order.
        gradient_norm: Whether the gradient's Euclidean norm is measured at each step.

    Returns:
        The state after, and the metrics of each step, shape `(steps,)`, measured before it is taken. The
        order of examples takes four bytes for each example and epoch.

    Raises:
        TypeError: If the objective does not take the four arguments, or a number is not a whole number.
        ValueError: If `batch` or `steps` is out of range, or the data have no common leading axis.

    Example:
        >>> mean = stateless(lambda params, batch: jax.numpy.mean((params - batch) ** 2) / 2)
        >>> descent = optax.sgd(0.5)
        >>> start = init(jax.numpy.zeros(()), jax.random.key(0), optimizer=descent)
        >>> end, metrics = run(start, jax.numpy.arange(9.0), objective=mean, optimizer=descent, steps=20)
        >>> end.params, metrics["loss"].shape
        (Array(3.999996, dtype=float32), (20,))
    """
    _check_objective(objective)
    n = _examples(data)
    steps = checks.count("steps", steps)
    batch = None if batch is None else checks.count("batch", batch, most=n)
    facts = (objective, optimizer, steps, batch, checks.flag("gradient_norm", gradient_norm))
    return _run(training, data, facts)


@partial(jax.jit, static_argnums=2)
def _run(
    training: TrainingState, data: Any, facts: tuple[Any, ...]
) -> tuple[TrainingState, dict[str, Array]]:
    objective, optimizer, steps, batch, gradient_norm = facts
    advance = partial(step, objective=objective, optimizer=optimizer, gradient_norm=gradient_norm)

    def on_chosen(training: TrainingState, chosen: Array) -> Any:
        return advance(training, jax.tree.map(lambda leaf: leaf[chosen], data))

    if batch is None:
        return jax.lax.scan(lambda training, _: advance(training, data), training, length=steps)
    return jax.lax.scan(on_chosen, training, _order(training, _examples(data), batch, steps))


def objective(
    apply: Callable[..., Any], criterion: Callable[..., Any], **metrics: Callable[..., Any]
) -> Callable[..., Any]:
    r"""Return the objective of training a network: the mean of a criterion over a minibatch `(x, y)`.

    Args:
        apply: The function `apply(params, state, x, *, key, train) -> (outputs, state)`, as
            `networks.functional` gives it; it is called with `train=True`.
        criterion: The function `criterion(outputs, y) -> (n,)`, such as `cross_entropy`.
        **metrics: Functions like the criterion, whose means are recorded under their names.

    Returns:
        The function `objective(params, state, batch, key) -> (loss, (state, metrics))`.

    Example:
        >>> linear = lambda params, state, x, *, key, train: (x @ params, state)
        >>> fit = objective(linear, squared_error, error=squared_error)
        >>> fit(jax.numpy.eye(2), {}, (np.eye(2), np.zeros((2, 2), np.float32)), jax.random.key(0))
        (Array(0.5, dtype=float32), ({}, {'error': Array(0.5, dtype=float32)}))
    """

    def of_network(params: Any, state: Any, batch: Any, key: Any) -> Any:
        x, y = batch
        outputs, state = apply(params, state, x, key=key, train=True)
        measured = {name: jnp.mean(metric(outputs, y)) for name, metric in metrics.items()}
        return jnp.mean(criterion(outputs, y)), (state, measured)

    return of_network


def stateless(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return the objective of training any parameters on a plain `loss(params, batch) -> scalar`.

    Args:
        loss: The plain function.

    Returns:
        The function `objective(params, state, batch, key) -> (loss, (state, {}))`.

    Example:
        >>> fit = stateless(lambda params, batch: jax.numpy.mean((params - batch) ** 2))
        >>> fit(jax.numpy.float32(1), {}, np.float32([0, 3]), jax.random.key(0))
        (Array(2.5, dtype=float32), ({}, {}))
    """

    def of_loss(params: Any, state: Any, batch: Any, key: Any) -> Any:
        del key
        return loss(params, batch), (state, {})

    return of_loss


def predictor(apply: Callable[..., Any], state: Any = None) -> Callable[..., Any]:
    """Return a network as a plain function `predict(params, x) -> outputs`, as it is evaluated.

    Args:
        apply: The function `apply(params, state, x) -> (outputs, state)`, as `networks.functional` gives it.
        state: What the network keeps besides its parameters; by default nothing.

    Returns:
        The function `predict(params, x)`.

    Example:
        >>> predict = predictor(lambda params, state, x: (x @ params, state))
        >>> predict(2 * jax.numpy.eye(2), np.float32([1, 2]))
        Array([2., 4.], dtype=float32)
    """
    state = {} if state is None else state

    def predict(params: Any, x: Any) -> Any:
        return apply(params, state, x)[0]

    return predict


def loss(apply: Callable[..., Any], criterion: Callable[..., Any], state: Any = None) -> Callable[..., Any]:
    """Return a network's loss as a plain function of its parameters, as it is evaluated.

    Args:
        apply: The function `apply(params, state, x) -> (outputs, state)`, as `networks.functional` gives it.
        criterion: The function `criterion(outputs, y) -> (n,)`, such as `cross_entropy`.
        state: What the network keeps besides its parameters; by default nothing.

    Returns:
        The function `loss(params, batch) -> scalar`, the mean over `batch = (x, y)`.

    Example:
        >>> linear = lambda params, state, x: (x @ params, state)
        >>> loss(linear, squared_error)(jax.numpy.eye(2), (np.eye(2), np.zeros((2, 2), np.float32)))
        Array(0.5, dtype=float32)
    """
    predict = predictor(apply, state)

    def mean_loss(params: Any, batch: Any) -> Any:
        x, y = batch
        return jnp.mean(criterion(predict(params, x), y))

    return mean_loss


def cross_entropy(logits: Outputs, labels: Labels) -> Float[Array, "*batch"]:
    r"""Return the cross entropy $\log \sum_k e^{z_k} - z_y$ of a softmax, in nats.

    Args:
        logits: The logits $z$.
        labels: The classes $y$, whole numbers from 0; the result is NaN for a label that is not a class.

    Returns:
        One value for each example, in single precision or better: losses are summed over many.

    Raises:
        TypeError: If the logits are complex, or the labels are not whole numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> cross_entropy(np.zeros((1, 4), np.float32), np.array([2]))
        Array([1.386294], dtype=float32)
    """
    logits, labels = _checked_labels(logits, labels)
    of_label = jnp.take_along_axis(logits, labels[..., None], -1, mode="fill")[..., 0]
    # A negative index would count from the end.
    return jax.nn.logsumexp(logits, axis=-1) - jnp.where(labels < 0, jnp.nan, of_label)


def squared_error(outputs: Outputs, targets: Outputs) -> Float[Array, "*batch"]:
    r"""Return half the squared distance, $\frac12 |f - y|^2$.

    Args:
        outputs: The outputs $f$.
        targets: The targets $y$, of the same shape.

    Returns:
        One value for each example, in single precision or better: losses are summed over many.

    Raises:
        TypeError: If an argument is complex or not an array of numbers.
        ValueError: If the shapes differ.

    Example:
        >>> squared_error(np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32))
        Array([2., 2., 2.], dtype=float32)
    """
    (outputs, targets), _ = real_arrays(outputs=outputs, targets=targets)
    checks.axes("outputs", outputs, "...", "outputs")
    if outputs.shape != targets.shape:
        raise ValueError(f"targets has the shape {targets.shape}: take {outputs.shape}, that of the outputs")
    return jnp.sum((outputs - targets) ** 2, -1) / 2


def accuracy(logits: Outputs, labels: Labels) -> Float[Array, "*batch"]:
    r"""Return one where the largest output is the label's, zero elsewhere: the mean is the accuracy.

    Args:
        logits: The logits.
        labels: The classes, whole numbers from 0.

    Returns:
        One value for each example, in single precision or better; of equal outputs the first is taken.

    Raises:
        TypeError: If the logits are complex, or the labels are not whole numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> accuracy(np.float32([[0.0, 1.0], [0.0, 9.0]]), np.array([0, 1]))
        Array([0., 1.], dtype=float32)
    """
    logits, labels = _checked_labels(logits, labels)
    return (jnp.argmax(logits, -1) == labels).astype(logits.dtype)


def _checked_labels(logits: Outputs, labels: Labels) -> tuple[Array, Array]:
    """Logits and labels as arrays that fit."""
    (logits,), _ = real_arrays(logits=logits)
    labels = jnp.asarray(as_array("labels", labels))
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels are {labels.dtype}: take whole numbers from 0, as argmax of one-hot rows")
    checks.axes("logits", logits, "...", "classes")
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels has the shape {labels.shape}: take {logits.shape[:-1]}, one label for each row of logits"
        )
    return logits, labels


def _check_objective(objective: Callable[..., Any]) -> None:
    """Refuses a function that does not take what an objective takes."""
    try:
        inspect.signature(objective).bind("params", "state", "batch", "key")
    except TypeError as error:
        raise TypeError(
            "objective has other arguments: take a function of (params, state, batch, key) that returns "
            "(loss, (state, metrics)), as training.stateless makes of a loss, training.objective of a network"
        ) from error


def _examples(data: Any) -> int:
    """How many examples there are: the leading axis of every array."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) != 1 or not shapes[0] or not shapes[0][0]:
        raise ValueError(
            f"data have the shapes {shapes}: take arrays with one leading axis of at least one example"
        )
    return shapes[0][0]


def _keys(training: TrainingState) -> Array:
    """Two keys, for the order of examples and for noise."""
    return jax.random.split(jax.random.wrap_key_data(training.key, impl=training.implementation))


def _order(training: TrainingState, n: int, batch: int, steps: int) -> Array:
    """The examples of each step, shape `(steps, batch)`."""
    per_epoch = n // batch
    epoch, place = training.step // per_epoch, training.step % per_epoch
    # A run may begin anywhere in an epoch: the most epochs that it can touch.
    epochs = epoch + jnp.arange((per_epoch - 1 + steps - 1) // per_epoch + 1)
    key = _keys(training)[0]
    orders = jax.vmap(lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), n))(epochs)
    batches = orders[:, : per_epoch * batch].reshape(-1, batch)
    return jax.lax.dynamic_slice_in_dim(batches, place, steps)
