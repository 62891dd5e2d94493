"""Small changes of all pixels add up: in a linear model exactly, and in the theories' networks as well.

Lecture: puzzles, "What is source of instability? Can we robustify network?".
Source: Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, ICLR 2015; Romano,
Aberdam, Sulam and Elad, Adversarial noise attacks of deep learning architectures, JMIV 62, 2020.

First, softmax regression on digits of several sides, attacked without clipping. Second, distances to the
boundary in l2, as projected gradients find them, against margins over a Lipschitz constant, which is the
product of the norms of the layers for the CNN and one for scattering, and over the length of the margin's
gradient. Third, what the theories propose, scattering with a linear classifier and multilayer ISTA trained as
a network, against the CNN that is the forward pass of that pursuit, with as many training digits as give it
the same clean error. Attacks go through the whole chain; what was made on the CNN with the most digits is
shown to the theories' networks as well. The full form takes about fifteen minutes on two cores.
"""

from dataclasses import dataclass, replace
from functools import partial
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
from jaxtheory.lab.blocks import in_blocks
from jaxtheory.networks import training
from jaxtheory.sparse.unrolled import unfolding
from jaxtheory.statistics import margins, softmax

NORMS = {"l-infinity": "inf", "l2": 2}
SCATTERING, PURSUIT = "scattering", "ML-ISTA"
RIVALS = (SCATTERING, PURSUIT)
RATE, BATCH, CLIP = 2e-3, 50, 1.0
"""Adam's first step size, the number of digits in a step, and the largest norm of gradients."""
LAYERS = {"atoms": (16, 32, 64), "kernel_size": (6, 6, 4), "strides": (2, 2, 1), "scale": 0.7}
SIZE, ANGLES = 32, 6
"""The side of the digits that are scattered, with a border of zeros, and the angles of the wavelets."""
LINEAR_DIGITS, EPSILON, PAIR = 2000, 0.1, (3, 7)
"""The linear model's training digits, the size of its changes, and the classes of the exact account."""
PENALTIES = {"pixels": 1e-3, SCATTERING: 1e-2}
"""The weight decay of softmax regressions."""
BLOCK, ROUNDS, EQUAL = 100, 4, 1.0
"""Digits that are evaluated at a time, rounds in which distances are sought, points of equal clean errors."""
PREDICTED = ("bound", "gradient")
LINEAR = "Goodfellow et al. 2015, section 3: w'η grows by ε m n in n dimensions"
PRODUCT = "Szegedy et al. 2014, section 4.3: the product of the layers' norms bounds the instability"
SOURCES = {
    SCATTERING: "Mallat 2012: scattering is nonexpansive in l2",
    PURSUIT: "Romano et al. 2020, abstract: the layered basis pursuit is the more robust one",
}


@dataclass(frozen=True)
class Config:
    sides: tuple[Literal[4, 7, 14, 28], ...] = (7, 14, 28)
    """The sides of the digits of the linear model."""
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
    attack_steps: Annotated[int, Range(1)] = 30
    """The number of steps of projected gradients."""
    steps: Annotated[int, Range(1)] = 1000
    """The number of training steps of a network."""
    unfoldings: Annotated[int, Range(1)] = 6
    """How often multilayer ISTA goes down and up after the forward pass."""
    J: Annotated[int, Range(1, 4)] = 3
    """The number of scales of scattering, which averages over 2**J pixels."""


QUICK = Config(
    sides=(7, 28), rivals=(SCATTERING,), norms=("l2",), digits=200, sizes=(600, 1000), draws=3,
    attacked=40, epsilons=(0.05, 0.1), radii=(0.5, 1.0), attack_steps=6, steps=200, J=2,
)  # fmt: skip


def linear(digits: mnist.Digits, lab: Lab, side: int, draw: int) -> dict[str, Any]:
    """What softmax regression on digits of a side does under changes of all pixels, without clipping."""
    split = digits.draw(LINEAR_DIGITS, lab.rng("linear", draw=draw), fold=draw)
    block = mnist.SIDE // side

    def shrunk(images: np.ndarray) -> np.ndarray:
        # Zeros behind the pixels, whose weights stay zero, make one compiled program of all sides.
        means = images.reshape(-1, side, block, side, block).mean((2, 4)).reshape(len(images), -1)
        return np.pad(means, ((0, 0), (0, mnist.SIDE**2 - side**2)))

    queries, answers = shrunk(split.test_images), split.test_labels
    options = {"classes": mnist.CLASSES, "penalty": PENALTIES["pixels"], "tolerance": 1e-4}
    model = softmax.fit(shrunk(split.train_images), split.train_labels, **options)
    weights = np.asarray(model.weights)
    between = np.abs(weights[:, :, None] - weights[:, None]).sum(axis=0)
    attack = partial(adversarial.fgsm, softmax.logits, x=queries, epsilon=EPSILON, bounds=None)
    # Of two classes alone, the attack is one on the difference of their logits.
    two = replace(model, bias=model.bias.at[np.delete(np.arange(mnist.CLASSES), PAIR)].set(-1e9))
    sharpest = attack(two, y=np.full_like(answers, PAIR[0])).x
    before, after = (np.asarray(softmax.logits(model, one)) for one in (queries, sharpest))
    moved = np.diff((after - before)[:, list(PAIR)])[:, 0]
    own = np.eye(mnist.CLASSES, dtype=bool)[answers]
    return {
        "length": between.sum() / (mnist.CLASSES * (mnist.CLASSES - 1)),
        "deviation": np.max(np.abs(moved / (EPSILON * between[PAIR]) - 1)),
        "margin": np.median(before[own] - np.where(own, -np.inf, before).max(axis=1)),
        "clean error": 100 * np.mean(before.argmax(axis=1) != answers),
        "error": 100 * np.mean(attack(model, y=answers).success),
    }


@partial(jax.jit, static_argnames=("unfoldings", "config"))
def trained(x: Any, y: Any, key: jax.Array, *, unfoldings: int, config: Config) -> unfolding.Parameters:
    """A pursuit of some unfoldings that was trained to classify, with none a CNN."""
    start, order = jax.random.split(key)
    params = unfolding.init(start, (mnist.SIDE, mnist.SIDE), unfoldings=unfoldings, **LAYERS)
    rate = optax.cosine_decay_schedule(RATE, config.steps)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(rate))
    state = training.init(params, order, optimizer=optimizer)

    def loss(params: unfolding.Parameters, batch: Any) -> jax.Array:
        return training.cross_entropy(unfolding.apply(params, batch[0]), batch[1]).mean()

    options = {"objective": training.stateless(loss), "optimizer": optimizer, "batch": BATCH}
    return training.run(state, (x, y), steps=config.steps, **options)[0].params


@jax.jit
def scattered(bank: scattering2d.Bank, x: Any) -> jax.Array:
    """Scattering coefficients of digits in units in which they have the energy of the pixels."""
    border = (SIZE - mnist.SIDE) // 2
    found = scattering2d.scatter(bank, jnp.pad(x, ((0, 0), (border, border), (border, border))))
    return 2**bank.J * found.reshape(len(x), -1)


@jax.jit
def scattering_logits(params: Any, x: Any) -> jax.Array:
    """Softmax regression on scattering coefficients, all of which are divided by one number."""
    bank, scale, model = params
    return softmax.logits(model, scattered(bank, x) / scale)


def fitted(config: Config, split: mnist.Split, network: str, key: jax.Array) -> tuple[Any, Any]:
    """The logits and the parameters of a network after its training."""
    x, y = jnp.asarray(split.train_images), jnp.asarray(split.train_labels)
    if network == SCATTERING:
        bank = scattering2d.filter_bank((SIZE, SIZE), config.J, ANGLES)
        features = in_blocks(partial(scattered, bank), split.train_images, each=BLOCK)
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
    options = {"padding": "VALID", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    for kernel, size, stride in zip(params.filters, params.step_sizes, params.strides):
        options["rhs"], options["window_strides"] = kernel, (stride, stride)
        convolve = partial(jax.lax.conv_general_dilated, **options)
        product *= jnp.abs(size) * margins.spectral_norm(convolve, shape, key, tolerance=1e-3)
        shape = jax.eval_shape(convolve, jax.ShapeDtypeStruct(shape, kernel.dtype)).shape
    return product


@jax.jit
def slopes(params: unfolding.Parameters, x: Any, y: Any) -> jax.Array:
    """The lengths of the gradients of a CNN's margins."""
    found = jax.grad(lambda x: margins.raw(unfolding.apply, params, x, y).sum())(x)
    return jnp.linalg.norm(found.reshape(len(y), -1), axis=1)


def attacked(config: Config, model: Any, x: Any, y: Any, key: Any, norm: str, sizes: Any) -> Any:
    """Attacks through the whole chain on each digit, of sizes (n,) or (n, digits), from random starts."""
    epsilon = np.broadcast_to(np.reshape(sizes, (len(sizes), -1)), (len(sizes), len(y)))
    options = {"epsilon": epsilon.ravel(), "steps": config.attack_steps, "norm": NORMS[norm]}
    return adversarial.pgd(*model, np.tile(x, (len(sizes), 1, 1)), np.tile(y, len(sizes)), key, **options)


def examined(config: Config, digits: mnist.Digits, lab: Lab, network: str, draw: int) -> dict[str, Any]:
    """Errors of a network on clean and on attacked digits, and how far from its boundary these are."""
    most, key = max(config.sizes), lab.key("attack", draw=draw)

    def model_of(name: str) -> tuple[Any, Any, mnist.Split]:
        size = sizes_of(config).get(name, config.digits)
        split = digits.draw(size, lab.rng("digits", draw=draw), fold=draw)
        return *fitted(config, split, name, lab.key("training", draw=draw)), split

    *model, split = model_of(network)
    other = model_of(f"CNN, {most} digits") if network in RIVALS else None
    answers = partial(in_blocks, partial(*model), each=BLOCK)
    clean = 100 * np.mean(np.argmax(answers(split.test_images), 1) != split.test_labels)
    chosen = lab.rng("attacked", draw=draw).permutation(len(split.test_labels))[: config.attacked]
    x, y = split.test_images[chosen], split.test_labels[chosen]
    robust, taken = [], 0.0
    for norm, sizes in sizes_by_norm(config).items():
        found = attacked(config, model, x, y, key, norm, sizes)
        own = broken = np.asarray(found.success).reshape(len(sizes), -1)
        if other is not None:
            made = attacked(config, other[:2], x, y, key, norm, sizes).x
            broken = own | (np.argmax(answers(np.asarray(made)), 1).reshape(len(sizes), -1) != y)
            taken = max(taken, 100 * float((broken & ~own).mean(1).max()))
        robust.append(100 * np.mean(~broken, axis=1))
    told = {"clean error": clean, "robust accuracy": np.stack(robust), "taken": taken}
    return told | distances(config, model, network, x, y, key)


def distances(config: Config, model: Any, network: str, x: Any, y: Any, key: Any) -> dict[str, Any]:
    """Distances to the boundary in l2: found by attacks, and from margins over two Lipschitz constants."""
    logits, params = model
    outputs, own = in_blocks(partial(logits, params), x, each=BLOCK), np.eye(mnist.CLASSES, dtype=bool)[y]
    gaps = np.where(own, np.inf, outputs[own][:, None] - outputs)
    margin, predicted = gaps.min(axis=1), dict.fromkeys(PREDICTED, np.full(len(y), np.nan))
    if network != PURSUIT:
        weights = np.asarray(params[2].weights / params[1] if network == SCATTERING else params.weights)
        lengths = np.linalg.norm(weights[:, y][:, :, None] - weights[:, None], axis=0)
        constant = 1.0 if network == SCATTERING else layer_norms(params, key)
        predicted["bound"] = np.min(gaps / (constant * np.where(own, 1, lengths)), axis=1)
    if network not in RIVALS:
        predicted["gradient"] = margin / np.asarray(slopes(params, x, y))
    low, high = np.zeros(len(y)), np.full(len(y), 2 * max(config.radii))
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
    for name, one in predicted.items():
        over = (nearest / one)[right]
        told |= {f"over {name}": np.median(over), f"{name} error": np.median(np.abs(np.log(over)))}
    return told | {"too near": float(np.sum((nearest < predicted["bound"])[right]))}


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
    digits, draws = lab.load(mnist), range(config.draws)
    flat = lab.sweep("linear model", partial(linear, digits, lab), side=config.sides, draw=draws)
    point, dims = partial(examined, config, digits, lab), {"robust accuracy": ("norm", "size")}
    found = lab.sweep("attacks", point, network=(*config.rivals, *sizes_of(config)), draw=draws, dims=dims)
    found = found.assign_coords(norm=list(config.norms))
    notes(config, flat, found, lab, digits.shared)
    figure(config, found, lab)
    return claims(config, flat, found, digits.shared)


def matched(config: Config, found: xr.Dataset, rival: str) -> str:
    """The CNN whose mean error on clean digits is nearest to a rival's."""
    means, names = found["clean error"].mean("draw"), list(sizes_of(config))
    return names[int(np.argmin(np.abs(means.sel(network=names) - means.sel(network=rival)).values))]


def gain(config: Config, found: xr.Dataset, rival: str, of: str = "robust accuracy") -> xr.DataArray:
    """By how many points a rival exceeds the CNN of equal clean error."""
    first, second = (found[of].sel(network=one, drop=True) for one in (rival, matched(config, found, rival)))
    return first - second


def claims(config: Config, flat: xr.Dataset, found: xr.Dataset, overlap: float) -> list[Claim]:
    options = {"over": "draw", "paired": True, "overlap": overlap}
    several = Need("two sides", len(config.sides) > 1, "take more --sides")
    cnn = found.sel(network=f"CNN, {max(config.sizes)} digits", drop=True)
    return [
        Claim(
            "A change of ε in every pixel moves the difference of a linear model's logits by ε times the "
            "l1 norm of the difference of weights, without clipping: the largest relative deviation.",
            at_most(1e-4, source=f"{LINEAR}; the rounding of single precision"),
            Measured(float(flat.deviation.max()), n=flat.deviation.size, of="models"),
        ),
        Claim(
            "The l1 norm of differences of classes grows with the side of the digits, from one to the next.",
            above(0, source=LINEAR),
            mean(flat.length.sortby("side").diff("side"), **options) if several.met else None,
            several,
        ),
        Claim(
            "No digit changes its class nearer than its margin over the Lipschitz constant: those that do.",
            at_most(0, source=f"a theorem; {PRODUCT}"),
            Measured(float(found["too near"].sum()), n=found["too near"].size, of="networks"),
        ),
        Claim(
            "The product of norms says less of the CNN's distance to the boundary than the gradient at the "
            "digit does: the median |log| of what is found over what is predicted, the difference.",
            below(0, source=PRODUCT),
            mean(cnn["gradient error"] - cnn["bound error"], **options),
        ),
        *(robust_claim(config, found, rival, norm, options) for rival in RIVALS for norm in NORMS),
    ]


def robust_claim(config: Config, found: xr.Dataset, rival: str, norm: str, options: Any) -> Claim:
    """The claim that a rival keeps more digits right than the CNN of equal clean error."""
    needs = [
        Need(rival, rival in config.rivals, "take it among --rivals"),
        Need(f"attacks in {norm}", norm in config.norms, "take it among --norms"),
    ]
    measured = None
    if all(need.met for need in needs):
        apart = float(np.abs(gain(config, found, rival, "clean error").mean()))
        what = f"a CNN whose clean error is within {EQUAL:g} point of that of {rival}"
        needs.append(Need(what, apart <= EQUAL, "take more --sizes"))
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
    options = {"over": "draw", "paired": True, "overlap": overlap}
    for side in config.sides:
        one = flat.sel(side=side).mean("draw")
        lab.note(
            f"Side {side}: mean l1 norm {one.length.item():.1f}, median margin {one.margin.item():.2f}, "
            f"error {one['clean error'].item():.1f} %, after changes of {EPSILON:g} {one.error.item():.1f} %."
        )
    means = found.drop_vars("robust accuracy").mean("draw")
    for name in found.network.values:
        one = {key: float(value) for key, value in means.sel(network=name).items()}
        ratios = {of: one[f"over {of}"] for of in PREDICTED if one[f"over {of}"] > 0}
        told = "".join(f", {ratio:.2f} times that of the {of}" for of, ratio in ratios.items())
        lab.note(
            f"{name}: clean error {one['clean error']:.1f} %, median distance {one['distance']:.2f}{told}."
        )
    for rival in config.rivals:
        other, kept = matched(config, found, rival), found["robust accuracy"].mean("draw")
        for norm, sizes in sizes_by_norm(config).items():
            for k, size in enumerate(sizes):
                place = {"norm": norm, "size": k}
                (difference,) = mean(gain(config, found, rival).sel(place, drop=True), **options)
                verdict = str(Claim("-", above(0, source="-"), difference).verdict)
                winner = {"holds": rival, "does not hold": "the CNN"}.get(verdict, "neither")
                first, second = (float(kept.sel(network=name, **place)) for name in (rival, other))
                lab.note(
                    f"{norm}, {size:g}: {rival} keeps {first:.1f} %, {other} {second:.1f} %: {winner} wins."
                )
        taken = float(found.taken.sel(network=rival).max())
        lab.note(f"Beyond its own attack, examples of a CNN took at most {taken:.1f} points of {rival}.")


def figure(config: Config, found: xr.Dataset, lab: Lab) -> None:
    """The picture."""
    drawn, (panels,) = plots.canvas(len(config.norms))
    for ax, (norm, sizes) in zip(panels, sizes_by_norm(config).items()):
        for rival, color in zip(config.rivals, plots.PALETTE):
            for name, style in ((rival, "-"), (matched(config, found, rival), "--")):
                one = found.sel(network=name).mean("draw")
                values = [100 - float(one["clean error"]), *one["robust accuracy"].sel(norm=norm).values]
                ax.plot((0, *sizes), values, style, color=color, marker="o", ms=4, label=name)
        ax.set(xticks=(0, *sizes), xlabel=f"size of the change in {norm}", ylabel="right digits (%)")
        ax.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    caption = (
        "Digits that are right under attacks: theories' networks, and CNNs of equal clean error, dashed."
    )
    lab.figure("robust", drawn, caption)
