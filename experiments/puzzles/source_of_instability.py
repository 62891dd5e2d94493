"""Small changes of all pixels add up in a linear model, and a theory's representation adds up less of them.

Lecture: puzzles, "What is source of instability? Can we robustify network?".
Source: Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, ICLR 2015; Romano,
Aberdam, Sulam and Elad, Adversarial noise attacks of deep learning architectures: stability analysis via
sparse-modeled signals, J. Math. Imaging Vision 62, 2020.

First, softmax regression on digits of several sides, without clipping. Second, the distance to the boundary
in l2: as projected gradients find it, against the margin over a Lipschitz constant, the product of the
spectral norms of the layers for the CNN and one for scattering, and against the margin over the length of its
gradient at the digit. Third, what the theories propose: scattering with a linear classifier, and multilayer
ISTA that is trained as a network, against the CNN that is the forward pass of that pursuit, with as many
training digits as give it the same error on clean digits. All take equally many steps of training. Attacks go
through the whole chain by projected gradients; scattering and the pursuit count for each digit the worse of
their own attack and of the examples that were made on the CNN with the most digits. The full form takes about
ten minutes on two cores.
"""

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from jaxtheory.data import mnist
from jaxtheory.harmonic import scattering2d
from jaxtheory.inspection import adversarial
from jaxtheory.lab import Claim, Lab, Measured, Need, Range, above, at_most, below, experiment, mean, plots
from jaxtheory.networks import training
from jaxtheory.sparse.unrolled import unfolding
from jaxtheory.statistics import margins, softmax

NORMS = {"l-infinity": "inf", "l2": 2}
SCATTERING, PURSUIT = "scattering", "ML-ISTA"
RIVALS = (SCATTERING, PURSUIT)
RATE, SCALE, CLIP = 2e-3, 0.7, 1.0
"""Adam's first step size, the factor on the initial filters, and the norm to which gradients are clipped."""
KERNELS, STRIDES = (6, 6, 4), (2, 2, 1)
SIZE, ANGLES = 32, 6
"""The side of the digits that are scattered, with a border of zeros, and the angles of the wavelets."""
PENALTIES = {"pixels": 1e-3, SCATTERING: 1e-2}
"""The weight decay of softmax regressions."""
EPSILON = 0.1
"""The size of the unclipped changes of a linear model."""
PAIR = (3, 7)
"""The classes that the exact account is checked with, Goodfellow's."""
BLOCK = 100
"""The number of digits that are evaluated at a time."""
REACH, ROUNDS = 2, 4
"""Distances are sought up to the largest radius times this, and in this many rounds."""
EQUAL = 1.0
"""Clean errors that differ by no more are taken for equal, in points."""
LINEAR = "Goodfellow et al. 2015, section 3: w'η grows by ε m n in n dimensions"
PRODUCT = "Szegedy et al. 2014, section 4.3: the product of the layers' norms bounds the instability"
ROMANO = "Romano et al. 2020, abstract: the layered basis pursuit is the more robust one"
MALLAT = "Mallat 2012: scattering is nonexpansive in l2"
SOURCES = {SCATTERING: MALLAT, PURSUIT: ROMANO}


@dataclass(frozen=True)
class Config:
    sides: Annotated[tuple[int, ...], Range(1, 28)] = (7, 14, 28)
    """The sides of the digits of the linear model, which divide 28."""
    linear_digits: Annotated[int, Range(100)] = 2000
    """The number of training digits of the linear model."""
    rivals: tuple[Literal[*RIVALS], ...] = RIVALS
    """The theories' networks that are compared with the CNN."""
    norms: tuple[Literal[*NORMS], ...] = tuple(NORMS)
    """The norms in which they are attacked."""
    digits: Annotated[int, Range(100)] = 500
    """The number of training digits of scattering and of multilayer ISTA."""
    sizes: Annotated[tuple[int, ...], Range(100)] = (250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000)
    """The numbers of training digits of the CNN, of which one that gives it the same error is chosen."""
    draws: Annotated[int, Range(2, mnist.FOLDS)] = 5
    """The number of draws of training and test digits and of networks."""
    attacked: Annotated[int, Range(10, 1000)] = 200
    """The number of test digits that are attacked."""
    epsilons: Annotated[tuple[float, ...], Range(0, 1, open=True)] = (0.05, 0.1, 0.2)
    """The sizes of the attacks in l-infinity, in units of the range of a pixel."""
    radii: Annotated[tuple[float, ...], Range(0, 28, open=True)] = (0.5, 1.0, 2.0)
    """The sizes of the attacks in l2, as many as in l-infinity."""
    attack_steps: Annotated[int, Range(1)] = 40
    """The number of steps of projected gradients."""
    steps: Annotated[int, Range(1)] = 1000
    """The number of training steps of a network."""
    batch: Annotated[int, Range(1, 100)] = 50
    """The number of digits in a training step."""
    atoms: Annotated[tuple[int, int, int], Range(1)] = (16, 32, 64)
    """The numbers of filters of the three layers of the CNN and of multilayer ISTA."""
    unfoldings: Annotated[int, Range(1)] = 6
    """How often multilayer ISTA goes down and up after the forward pass."""
    J: Annotated[int, Range(1, 4)] = 3
    """The number of scales of scattering, which averages over 2**J pixels."""


QUICK = Config(
    sides=(7, 28), linear_digits=500, rivals=(SCATTERING,), norms=("l2",), digits=200,
    sizes=(1000, 2000, 4000), draws=3, attacked=50, epsilons=(0.05, 0.1), radii=(0.5, 1.0),
    attack_steps=10, steps=200, atoms=(8, 16, 32), J=2,
)  # fmt: skip


def linear(config: Config, digits: mnist.Digits, lab: Lab, side: int, draw: int) -> dict[str, Any]:
    """What softmax regression on digits of a side does under changes of all pixels, without clipping."""
    split = digits.draw(config.linear_digits, lab.rng("linear", draw=draw), fold=draw)
    block = mnist.SIDE // side

    def shrunk(images: np.ndarray) -> jax.Array:
        # Zeros behind the pixels, whose weights stay zero, make one compiled program of all sides.
        means = images.reshape(-1, side, block, side, block).mean((2, 4)).reshape(len(images), -1)
        return jnp.pad(means, ((0, 0), (0, mnist.SIDE**2 - side**2)))

    x, queries = shrunk(split.train_images), shrunk(split.test_images)
    y, answers = jnp.asarray(split.train_labels), jnp.asarray(split.test_labels)
    model = softmax.fit(x, y, classes=mnist.CLASSES, penalty=PENALTIES["pixels"], tolerance=1e-4)
    between = jnp.abs(model.weights[:, :, None] - model.weights[:, None]).sum(0)
    attack = partial(adversarial.fgsm, softmax.logits, x=queries, epsilon=EPSILON, bounds=None)
    # Of two classes alone, the attack is one on the difference of their logits.
    two = replace(model, bias=jnp.where(np.isin(range(mnist.CLASSES), PAIR), model.bias, -1e9))
    sharpest = attack(two, y=jnp.full_like(answers, PAIR[0])).x
    change = softmax.logits(model, sharpest) - softmax.logits(model, queries)
    moved = change[:, PAIR[1]] - change[:, PAIR[0]]
    return {
        "length": float(between.sum() / (mnist.CLASSES * (mnist.CLASSES - 1))),
        "deviation": float(jnp.max(jnp.abs(moved / (EPSILON * between[PAIR]) - 1))),
        "margin": float(jnp.median(margins.raw(softmax.logits, model, queries, answers))),
        "clean error": 100 * float(jnp.mean(softmax.predict(model, queries) != answers)),
        "error": 100 * float(jnp.mean(attack(model, y=answers).success)),
    }


def classified(params: Any, state: Any, x: Any, **options: Any) -> Any:
    """A pursuit as a training calls it."""
    del options
    return unfolding.apply(params, x), state


OBJECTIVE = training.objective(classified, training.cross_entropy)


@partial(jax.jit, static_argnames=("unfoldings", "config"))
def trained(x: Any, y: Any, key: jax.Array, *, unfoldings: int, config: Config) -> unfolding.Parameters:
    """A pursuit of some unfoldings that was trained to classify, with none a CNN."""
    start, order = jax.random.split(key)
    options = {"atoms": config.atoms, "kernel_size": KERNELS, "strides": STRIDES, "scale": SCALE}
    params = unfolding.init(start, (mnist.SIDE, mnist.SIDE), unfoldings=unfoldings, **options)
    rate = optax.cosine_decay_schedule(RATE, config.steps)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(rate))
    state = training.init(params, order, optimizer=optimizer)
    options = {"objective": OBJECTIVE, "optimizer": optimizer, "steps": config.steps, "batch": config.batch}
    return training.run(state, (x, y), **options)[0].params


@cache
def filters(J: int) -> scattering2d.Bank:
    return scattering2d.filter_bank((SIZE, SIZE), J, ANGLES)


def scattered(bank: scattering2d.Bank, x: Any) -> jax.Array:
    """Scattering coefficients of digits in units in which they have the energy of the pixels."""
    border = (SIZE - mnist.SIDE) // 2
    found = scattering2d.scatter(bank, jnp.pad(x, ((0, 0), (border, border), (border, border))))
    return 2**bank.J * found.reshape(len(x), -1)


def scattering_logits(params: Any, x: Any) -> jax.Array:
    """Softmax regression on scattering coefficients, all of which are divided by one number."""
    bank, scale, model = params
    return softmax.logits(model, scattered(bank, x) / scale)


def in_blocks(function: Any, params: Any, x: Any) -> np.ndarray:
    """What a function gives for digits, some at a time: blocks of one shape need one compiled program."""
    x = np.asarray(x)
    blocks = np.pad(x, ((0, -len(x) % BLOCK), (0, 0), (0, 0))).reshape(-1, BLOCK, *x.shape[1:])
    return np.concatenate([function(params, one) for one in blocks])[: len(x)]


def fitted(config: Config, split: mnist.Split, network: str, key: jax.Array) -> tuple[Any, Any]:
    """The logits and the parameters of a network after its training."""
    x, y = jnp.asarray(split.train_images), jnp.asarray(split.train_labels)
    if network == SCATTERING:
        bank = filters(config.J)
        features = in_blocks(scattered, bank, x)
        scale = np.sqrt(np.mean(np.var(features, axis=0)))
        options = {"classes": mnist.CLASSES, "penalty": PENALTIES[SCATTERING], "tolerance": 1e-3}
        return scattering_logits, (bank, scale, softmax.fit(features / scale, y, **options))
    # Repeated digits make all sizes one shape, of one compiled program, with equally many steps.
    chosen = np.resize(np.arange(len(x)), max(config.sizes))
    unfoldings = config.unfoldings if network == PURSUIT else 0
    return unfolding.apply, trained(x[chosen], y[chosen], key, unfoldings=unfoldings, config=config)


@jax.jit
def layer_norms(params: unfolding.Parameters, key: jax.Array) -> jax.Array:
    """The product of the spectral norms of a CNN's convolutions, as they act on images."""
    shape, product = (1, mnist.SIDE, mnist.SIDE, 1), jnp.ones(())
    for kernel, size, stride in zip(params.filters, params.step_sizes, params.strides):

        def convolve(x: jax.Array, kernel: jax.Array = kernel, stride: int = stride) -> jax.Array:
            axes = ("NHWC", "HWIO", "NHWC")
            return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "VALID", dimension_numbers=axes)

        product *= size * margins.spectral_norm(convolve, shape, key, tolerance=1e-3)
        shape = jax.eval_shape(convolve, jax.ShapeDtypeStruct(shape, kernel.dtype)).shape
    return product


def attacked(config: Config, model: Any, x: Any, y: Any, key: Any, norm: str, sizes: Any) -> Any:
    """Attacks through the whole chain on each digit, of sizes (n,) or (n, digits), from random starts."""
    epsilon = np.broadcast_to(np.reshape(sizes, (len(sizes), -1)), (len(sizes), len(y)))
    many = {"x": np.tile(x, (len(sizes), 1, 1)), "y": np.tile(y, len(sizes)), "key": key}
    options = {"epsilon": epsilon.ravel(), "steps": config.attack_steps, "norm": NORMS[norm]}
    return adversarial.pgd(*model, **many, **options)


def examined(config: Config, digits: mnist.Digits, lab: Lab, network: str, draw: int) -> dict[str, Any]:
    """Errors of a network on clean and on attacked digits, and how far from its boundary these are."""
    most, key = max(config.sizes), lab.key("attack", draw=draw)

    def model_of(name: str) -> tuple[Any, Any]:
        size = sizes_of(config).get(name, config.digits)
        return fitted(config, split_of(size), name, lab.key("training", draw=draw))

    def split_of(size: int) -> mnist.Split:
        return digits.draw(size, lab.rng("digits", draw=draw), fold=draw)

    split, model = split_of(most), model_of(network)
    other = model_of(f"CNN, {most} digits") if network in RIVALS else None
    clean = 100 * np.mean(np.argmax(in_blocks(*model, split.test_images), 1) != split.test_labels)
    x, y = (one[: config.attacked] for one in (split.test_images, split.test_labels))
    robust, own, expansion = [], [], 0.0
    for norm, sizes in sizes_by_norm(config).items():
        changed = attacked(config, model, x, y, key, norm, sizes)
        broken = np.asarray(changed.success).reshape(len(sizes), -1)
        own.append(100 * np.mean(~broken, axis=1))
        if other is not None:
            made = attacked(config, other, x, y, key, norm, sizes).x
            answers = np.argmax(in_blocks(*model, made), axis=1).reshape(len(sizes), -1)
            broken = broken | (answers != y)
        robust.append(100 * np.mean(~broken, axis=1))
        if network == SCATTERING:
            many = np.tile(x, (len(sizes), 1, 1))
            moved = np.subtract(*(in_blocks(scattered, model[1][0], one) for one in (changed.x, many)))
            pixels = np.linalg.norm((changed.x - many).reshape(len(many), -1), axis=1)
            expansion = max(expansion, float(np.max(np.linalg.norm(moved, axis=1) / pixels)))
    told = {"clean error": clean, "robust accuracy": np.stack(robust), "own attack": np.stack(own)}
    return told | {"expansion": expansion} | distances(config, model, network, x, y, key)


def distances(config: Config, model: Any, network: str, x: Any, y: Any, key: Any) -> dict[str, Any]:
    """Distances to the boundary in l2: found by attacks, and from margins over two Lipschitz constants."""
    logits, params = model
    outputs, own = in_blocks(logits, params, x), np.eye(mnist.CLASSES, dtype=bool)[y]
    gaps = np.where(own, np.inf, outputs[own][:, None] - outputs)
    margin, predicted = gaps.min(axis=1), {}
    if network != PURSUIT:
        weights = params[2].weights / params[1] if network == SCATTERING else params.weights
        lengths = np.linalg.norm(weights[:, y][:, :, None] - weights[:, None], axis=0)
        constant = 1.0 if network == SCATTERING else layer_norms(params, key)
        predicted["bound"] = np.min(gaps / (constant * np.where(own, 1, lengths)), axis=1)
    if network not in RIVALS:
        slopes = jax.grad(lambda x: margins.raw(logits, params, x, y).sum())(jnp.asarray(x))
        predicted["gradient"] = margin / np.linalg.norm(slopes.reshape(len(y), -1), axis=1)
    low, high = np.zeros(len(y)), np.full(len(y), REACH * max(config.radii))
    nearest, parts = np.full(len(y), np.inf), np.arange(1, len(config.radii) + 1) / (len(config.radii) + 1)
    for _ in range(ROUNDS):
        # As many sizes at a time as an attack has, so that one compiled program serves both.
        sizes = low + parts[:, None] * (high - low)
        found = attacked(config, model, x, y, key, "l2", sizes)
        gone = np.where(found.success, found.distance, np.inf).reshape(sizes.shape)
        nearest = np.minimum(nearest, gone.min(axis=0))
        low = np.where(sizes < nearest, sizes, low).max(axis=0)
        high = np.minimum(high, nearest)
    right = (margin > 0) & np.isfinite(nearest)
    told = {"distance": np.median(nearest[right])}
    for name in ("gradient", "bound"):
        over = (nearest / predicted.get(name, np.full(len(y), np.nan)))[right]
        told |= {f"over {name}": np.median(over), f"{name} error": np.median(np.abs(np.log(over)))}
    return told | {"too near": float(np.sum(over < 1))}


def sizes_of(config: Config) -> dict[str, int]:
    """The CNNs by name, with their numbers of training digits."""
    return {f"CNN, {size} digits": size for size in config.sizes}


def sizes_by_norm(config: Config) -> dict[str, tuple[float, ...]]:
    """The sizes of the attacks."""
    sizes = {"l-infinity": config.epsilons, "l2": config.radii}
    return {norm: sizes[norm] for norm in config.norms}


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if len(config.epsilons) != len(config.radii):
        raise ValueError(f"radii are {config.radii}: take as many as the epsilons, {config.epsilons}")
    if wrong := [side for side in config.sides if mnist.SIDE % side]:
        raise ValueError(f"sides hold {wrong[0]}: take divisors of {mnist.SIDE}")
    digits = lab.load(mnist)
    flat = lab.sweep(
        "linear model", partial(linear, config, digits, lab), side=config.sides, draw=range(config.draws)
    )
    found = lab.sweep(
        "attacks", partial(examined, config, digits, lab), network=(*config.rivals, *sizes_of(config)),
        draw=range(config.draws),
        dims=dict.fromkeys(("robust accuracy", "own attack"), ("norm", "size")),
    ).assign_coords(norm=list(config.norms))  # fmt: skip
    notes(config, flat, found, lab, digits.shared)
    figures(config, flat, found, lab)
    return claims(config, flat, found, digits.shared)


def matched(config: Config, found: xr.Dataset, rival: str) -> str:
    """The CNN whose mean error on clean digits is nearest to a rival's."""
    means, names = found["clean error"].mean("draw"), list(sizes_of(config))
    return names[int(np.argmin(np.abs(means.sel(network=names) - means.sel(network=rival)).values))]


def gain(config: Config, found: xr.Dataset, rival: str) -> xr.DataArray:
    """By how many points more digits a rival keeps right than the CNN of equal clean error does."""
    kept, other = found["robust accuracy"], matched(config, found, rival)
    return kept.sel(network=rival, drop=True) - kept.sel(network=other, drop=True)


def claims(config: Config, flat: xr.Dataset, found: xr.Dataset, overlap: float) -> list[Claim]:
    options = {"over": "draw", "paired": True, "overlap": overlap}
    several = Need("two sides", len(config.sides) > 1, "take more --sides")
    growth = flat.length.sortby("side").diff("side") if several.met else None
    cnn = found.sel(network=f"CNN, {max(config.sizes)} digits", drop=True)
    scattering = Need(SCATTERING, SCATTERING in config.rivals, "take it among --rivals")
    nearer = found["too near"].sum("draw")
    return [
        Claim(
            "A change of ε in every pixel moves the difference of a linear model's logits by ε times the "
            "l1 norm of the difference of weights, without clipping: the largest relative deviation.",
            at_most(1e-4, source=f"{LINEAR}; the rounding of single precision"),
            Measured(float(flat.deviation.max()), n=flat.deviation.size, of="models"),
        ),
        Claim(
            "The l1 norm of differences of classes grows with the side of the digits: from each side to the "
            "next.",
            above(0, source=LINEAR),
            mean(growth, **options) if several.met else None,
            several,
        ),
        Claim(
            "No attacked digit changes its class nearer than its margin over the Lipschitz constant: the "
            "digits that do.",
            at_most(0, source=f"a theorem; {PRODUCT}"),
            [
                Measured(float(nearer.sel(network=name)), n=config.draws, at={"network": name})
                for name in found.network.values
                if name != PURSUIT
            ],
        ),
        Claim(
            "The product of norms says less of the CNN's distance to the boundary than the gradient at the "
            "digit does: the median |log| of what is found over what is predicted, the difference.",
            below(0, source=PRODUCT),
            mean(cnn["gradient error"] - cnn["bound error"], **options),
        ),
        Claim(
            "Scattering moves by no more than the pixels do: the largest ratio of l2 norms, attacked digits.",
            at_most(1, source=MALLAT),
            Measured(float(found.expansion.max()), n=config.draws) if scattering.met else None,
            scattering,
        ),
        *(robust_claim(config, found, rival, norm, options) for rival in RIVALS for norm in NORMS),
    ]


def robust_claim(
    config: Config, found: xr.Dataset, rival: str, norm: str, options: dict[str, Any]
) -> Claim:  # fmt: skip
    """The claim that a rival keeps more digits right than the CNN of equal clean error."""
    needs = [
        Need(rival, rival in config.rivals, "take it among --rivals"),
        Need(f"attacks in {norm}", norm in config.norms, "take it among --norms"),
    ]
    measured = None
    if all(need.met for need in needs):
        means = found["clean error"].mean("draw")
        apart = means.sel(network=rival) - means.sel(network=matched(config, found, rival))
        what = f"a CNN whose clean error is within {EQUAL:g} point of that of {rival}"
        needs.append(Need(what, abs(float(apart)) <= EQUAL, "take more --sizes"))
        measured = mean(gain(config, found, rival).sel(norm=norm, drop=True).mean("size"), **options)
    return Claim(
        f"At equal clean error, {rival} keeps more digits right than a CNN under attacks in {norm}: the mean "
        "over their sizes.",
        above(0, unit="points", source=SOURCES[rival], looked_up=rival == PURSUIT),
        measured,
        needs,
    )


def notes(config: Config, flat: xr.Dataset, found: xr.Dataset, lab: Lab, overlap: float) -> None:
    """Notes for the findings: the linear models, distances, and who wins at each size of the attacks."""
    for side in config.sides:
        one = flat.sel(side=side).mean("draw")
        lab.note(
            f"Side {side}: mean l1 norm {float(one.length):.1f}, median margin {float(one.margin):.2f}, "
            f"error {float(one['clean error']):.1f} %, and {float(one.error):.1f} % after unclipped changes "
            f"of {EPSILON:g} in every pixel."
        )
    for name in found.network.values:
        one = found.sel(network=name).mean("draw")
        ratios = {
            "the margin over the Lipschitz constant": one["over bound"],
            "the margin over the length of its gradient": one["over gradient"],
        }
        beside = [f", {float(value):.2f} times {of}" for of, value in ratios.items() if value.notnull()]
        lab.note(
            f"{name}: clean error {float(one['clean error']):.1f} %, median distance to the boundary "
            f"{float(one.distance):.2f}{''.join(beside)}."
        )
    for rival in config.rivals:
        other = matched(config, found, rival)
        taken = (found["own attack"] - found["robust accuracy"]).sel(network=rival).mean("draw")
        for norm, sizes in sizes_by_norm(config).items():
            for k, size in enumerate(sizes):
                place = {"norm": norm, "size": k}
                difference = gain(config, found, rival).sel(place, drop=True)
                (measured,) = mean(difference, over="draw", paired=True, overlap=overlap)
                wins = str(Claim("-", above(0, source="-"), measured).verdict)
                winner = {"holds": rival, "does not hold": "the CNN"}.get(wins, "neither")
                kept = found["robust accuracy"].sel(place).mean("draw")
                lab.note(
                    f"{norm}, {size:g}: {rival} keeps {float(kept.sel(network=rival)):.1f} %, {other} "
                    f"{float(kept.sel(network=other)):.1f} %: {winner} wins. Examples of the CNN with the "
                    f"most digits took {float(taken.sel(place)):.1f} points beyond its own attack."
                )


def figures(config: Config, flat: xr.Dataset, found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    figure, (panels,) = plots.canvas(2)
    labels = {"x": "side", "over": "draw", "xlabel": "side of the digits (pixels)"}
    plots.panel(flat.length.rename("mean l1 norm of differences"), axes=panels[0], **labels)
    plots.panel(flat.margin.rename("median margin"), axes=panels[1], **labels)
    lab.figure("linear", figure, "Softmax regression: the l1 norms of differences of classes, and margins.")
    figure, (panels,) = plots.canvas(len(config.norms), share="y")
    for ax, (norm, sizes) in zip(panels, sizes_by_norm(config).items()):
        for rival, color in zip(config.rivals, plots.PALETTE):
            for name, style in ((rival, "-"), (matched(config, found, rival), "--")):
                one = found.sel(network=name).mean("draw")
                values = [100 - float(one["clean error"]), *one["robust accuracy"].sel(norm=norm).values]
                ax.plot((0, *sizes), values, style, color=color, marker="o", ms=4, label=name)
        ax.set(xlabel=f"size of the change in {norm}", ylabel="digits that are right (%)")
        ax.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    lab.figure(
        "robust", figure,
        "Digits that are still right under attacks: scattering and multilayer ISTA, and for each of them the "
        "CNN of equal clean error, dashed.",
    )  # fmt: skip
