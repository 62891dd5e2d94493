"""Plain networks err more on their training digits the deeper they are; residual networks do not.

Lecture: history, "ResNet".
Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, figure 1 and
section 4.2.

Networks of the paper's form for CIFAR, 6 n + 2 layers with n blocks in each of three stages, learn digits
of 14 x 14 pixels, with skips and without, with batch normalization and without, by gradient descent with
momentum from the same digits in the same order. The training error is that of the last epoch, each
minibatch before its step, as the paper's curves show it. The gradient is that by the kernels of the first
layer, in the first step. Without normalization the signals of residual blocks add up, and the step is
smaller. The full form takes about 65 minutes of one core.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.lab import Claim, Lab, Need, Range, above, at_most, experiment, mean, plots
from jaxtheory.lab.blocks import minibatches
from jaxtheory.networks import resnet, training

SIDE = mnist.SIDE // 2
CHANNELS = (4, 8, 16)
PLAIN, RESIDUAL = "plain", "residual"
SKIPS = {PLAIN: 0.0, RESIDUAL: 1.0}
"""What blocks got is multiplied by this and added to their results."""
WITH, WITHOUT = "with normalization", "without normalization"
RATES = {WITH: 0.1, WITHOUT: 0.01}
"""The step size at the start, which falls to zero along a cosine."""
MOMENTUM = 0.9
SHALLOW, DEEP = 20, 56
"""The depths that the paper's figure 1 compares."""
HE = "He et al. 2016, figure 1"


@dataclass(frozen=True)
class Config:
    depths: Annotated[tuple[int, ...], Range(8)] = (8, 20, 32, 56)
    """The numbers of layers, 6 n + 2 each."""
    digits: Annotated[int, Range(100, 4000)] = 3000
    """The number of training digits."""
    epochs: Annotated[int, Range(1)] = 15
    """The number of times that a network sees all of them."""
    draws: Annotated[int, Range(2)] = 3
    """The number of draws of digits and networks."""
    batch: Annotated[int, Range(2, 100)] = 64
    """The number of digits in a training step."""
    normalizations: tuple[str, ...] = (WITH, WITHOUT)
    """Whether networks have batch normalization, of 'with normalization' and 'without normalization'."""


QUICK = Config(depths=(8,), digits=300, epochs=3, draws=2, batch=50, normalizations=(WITH,))


@cache
def network(depth: int, normalization: str) -> networks.bridge.Functional:
    """Plain and residual networks as one pair of functions: the state says which it is."""
    options = {"channels": CHANNELS, "inputs": 1, "normalization": normalization == WITH}
    return networks.functional(resnet.make_small(depth, mnist.CLASSES, **options))


def halved(images: np.ndarray) -> np.ndarray:
    """Images of 14 x 14 pixels and one channel, from means over squares, with mean zero."""
    small = images.reshape(len(images), SIDE, 2, SIDE, 2).mean((2, 4))[..., None]
    return small - small.mean()


def first_gradient() -> optax.GradientTransformation:
    """Leave gradients as they are, and keep the norm of the first one of the first layer."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return updates, jnp.where(jnp.isnan(state), optax.tree.norm(updates["stem"]), state)

    return optax.GradientTransformation(lambda _: jnp.full((), jnp.nan), update)


def drawn(depth: int, normalization: str, kind: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Parameters and state at the start, as the network's own, of which a program takes long to compile."""

    def leaf(path: tuple[Any, ...], like: Any) -> np.ndarray:
        if path[-1].key == "kernel":
            gain = 1 if path[0].key == "classifier" else 2
            return np.float32(rng.standard_normal(like.shape) * np.sqrt(gain / np.prod(like.shape[-4:-1])))
        return np.full(like.shape, path[-1].key in ("scale", "var"), np.float32)

    shapes = jax.eval_shape(network(depth, normalization).init, jax.random.key(0))
    params, state = jax.tree_util.tree_map_with_path(leaf, shapes[0]), shapes[1]
    state = jax.tree_util.tree_map_with_path(leaf, state) | {"skips": np.float32(SKIPS[kind])}
    return params, state


# Two seconds less to compile, and steps that take as long.
@partial(
    jax.jit,
    static_argnames=("depth", "normalization"),
    compiler_options={"xla_backend_optimization_level": 1},
)
def trained(
    start: tuple[Any, Any], train: Any, test: Any, order: Any, *, depth: int, normalization: str
) -> dict[str, Any]:
    """The accuracy at each step, the error on test examples, and the first layer's gradient at the start."""
    apply, (params, state) = network(depth, normalization).apply, start
    rate = optax.cosine_decay_schedule(RATES[normalization], len(order))
    optimizer = optax.chain(first_gradient(), optax.sgd(rate, MOMENTUM))
    objective = training.objective(apply, training.cross_entropy, accuracy=training.accuracy)
    advance = partial(training.step, objective=objective, optimizer=optimizer)

    def on_chosen(now: Any, chosen: jax.Array) -> tuple[Any, jax.Array]:
        now, metrics = advance(now, jax.tree.map(lambda leaf: leaf[chosen], train))
        return now, metrics["accuracy"]

    begin = training.init(params, jax.random.key(0), optimizer=optimizer, state=state)
    end, accuracy = jax.lax.scan(on_chosen, begin, order)
    outputs = apply(end.params, end.state, test[0])[0]
    wrong = jnp.mean(jnp.argmax(outputs, 1) != test[1])
    return {"accuracy": accuracy, "test": wrong, "gradient": end.optimizer[0]}


def curves(
    config: Config, digits: mnist.Digits, lab: Lab, normalization: str, kind: str, depth: int, draw: int
) -> dict[str, Any]:
    """A network's training error in percent after each epoch, its test error, and its first gradient."""
    rng = lab.rng("training", draw=draw)
    split = digits.draw(config.digits, rng, fold=draw % mnist.FOLDS)
    data = halved(split.train_images), split.train_labels
    test = halved(split.test_images), split.test_labels
    each = config.digits // config.batch
    order = minibatches(config.digits, config.batch, config.epochs * each, rng)
    start = drawn(depth, normalization, kind, rng)
    found = trained(start, data, test, order, depth=depth, normalization=normalization)
    return {
        "train": 100 * (1 - np.asarray(found["accuracy"]).reshape(config.epochs, each).mean(1)),
        "test": 100 * float(found["test"]),
        "gradient": float(found["gradient"]),
    }


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if unknown := set(config.normalizations) - set(RATES):
        raise ValueError(f"normalizations holds {min(unknown)!r}: take of {', '.join(RATES)}")
    digits = lab.load(mnist)

    def point(normalization: str, kind: str, depth: int, draw: int) -> dict[str, Any]:
        return curves(config, digits, lab, normalization, kind, depth, draw)

    found = lab.sweep(
        "trainings", point, normalization=config.normalizations, kind=tuple(SKIPS),
        depth=sorted(set(config.depths)), draw=range(config.draws), dims={"train": ("epoch",)},
    ).assign_coords(epoch=np.arange(1, config.epochs + 1))  # fmt: skip
    notes(found, lab)
    figures(found, lab)
    return claims(found, digits.shared)


def claims(found: xr.Dataset, overlap: float) -> list[Claim]:
    average = partial(mean, over="draw", paired=True, overlap=overlap)
    depths = set(found.depth.values.tolist())
    both = Need(f"depths {SHALLOW} and {DEEP}", {SHALLOW, DEEP} <= depths, "give --depths with both")
    several = Need("two depths", len(depths) > 1, "give --depths")
    kept = {
        name: Need(f"networks {name}", name in found.normalization, "give --normalizations") for name in RATES
    }
    last = found.train.isel(epoch=-1, drop=True)

    def rise(kind: str, name: str) -> Any:
        """How much more the deep network errs than the shallow one on training digits."""
        if not (both.met and kept[name].met):
            return None
        one = last.sel(normalization=name, kind=kind, drop=True)
        return average(one.sel(depth=DEEP, drop=True) - one.sel(depth=SHALLOW, drop=True))

    ready = several.met and kept[WITH].met
    grown = np.log10(found.gradient.sel(normalization=WITH, kind=PLAIN, drop=True)) if ready else None
    deepest = last.isel(depth=-1).sel(normalization=WITH, drop=True) if kept[WITH].met else None
    return [
        Claim(
            f"With batch normalization, a plain network of {DEEP} layers errs more on its training digits "
            f"than one of {SHALLOW}: the difference.",
            above(0, unit="points", source=HE, looked_up=True),
            rise(PLAIN, WITH),
            (both, kept[WITH]),
        ),
        Claim(
            f"A residual network of {DEEP} layers errs no more on its training digits than one of {SHALLOW}: "
            "the difference.",
            at_most(0, unit="points", source="He et al. 2016, figure 6"),
            rise(RESIDUAL, WITH),
            (both, kept[WITH]),
        ),
        Claim(
            "The deepest plain network errs more on its training digits than the residual network of the "
            "same depth: the difference.",
            above(0, unit="points", source="He et al. 2016, figure 6"),
            average(deepest.sel(kind=PLAIN, drop=True) - deepest.sel(kind=RESIDUAL, drop=True))
            if kept[WITH].met
            else None,
            kept[WITH],
        ),
        Claim(
            "It is not that gradients vanish: with batch normalization the first layer's gradient at the "
            "start is larger in the deepest plain network than in the shallowest, in powers of ten.",
            above(0, source="He et al. 2016, section 4.1: gradients have healthy norms"),
            average(grown.isel(depth=-1, drop=True) - grown.isel(depth=0, drop=True)) if ready else None,
            (several, kept[WITH]),
        ),
        Claim(
            f"Without normalization, too, a plain network of {DEEP} layers errs more on its training digits "
            f"than one of {SHALLOW}: the difference.",
            above(0, unit="points", source="this project's bar"),
            rise(PLAIN, WITHOUT),
            (both, kept[WITHOUT]),
        ),
    ]


def notes(found: xr.Dataset, lab: Lab) -> None:
    """Training and test errors and gradients of all networks."""
    for name in found.normalization.values:
        for kind in found.kind.values:
            one = found.sel(normalization=name, kind=kind).mean("draw")
            told = "; ".join(
                f"{int(depth)} layers: training {float(at.train[-1]):.2f} %, test {float(at.test):.2f} %, "
                f"gradient {float(at.gradient):.3g}"
                for depth in one.depth
                for at in [one.sel(depth=depth)]
            )
            lab.note(f"{kind} networks {name}: {told}.")


def figures(found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    train = found.train.rename("training error").assign_attrs(unit="%")
    train.depth.attrs["long_name"] = "layers"
    normalizations, kinds = found.normalization.values, found.kind.values
    figure, grid = plots.canvas(len(kinds), len(normalizations), size=(4.2, 3.1), share="xy")
    for row, name in zip(grid, normalizations):
        for ax, kind in zip(row, kinds):
            one = train.sel(normalization=name, kind=kind).mean("draw", keep_attrs=True)
            plots.panel(one, x="epoch", hue="depth", axes=[ax])
            ax.set_title(f"{kind}, {name}", fontsize=10)
    lab.figure("training", figure, "Training errors by epoch and depth, means over the draws.")
    figure, (axes,) = plots.canvas(2, size=(4.4, 3.3))
    last = train.isel(epoch=-1, drop=True)
    gradient = found.gradient.rename("first layer's gradient")
    for ax, one, log in zip(axes, (last, gradient), ("x", "xy")):
        plots.panel(one, x="depth", hue="kind", style="normalization", over="draw", log=log, axes=[ax])
    lab.figure(
        "depth", figure, "Training error of the last epoch, and the gradient by the first layer at the start."
    )
