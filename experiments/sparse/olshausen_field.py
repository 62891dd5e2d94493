"""Atoms that code patches of natural images sparsely are Gabor functions, and principal components are not.

Lecture: sparse coding, "can we simultaneously learn the dictionaries and the γ's?".
Source: Olshausen and Field, Emergence of simple-cell receptive field properties by learning a sparse code for
natural images, Nature 381, 1996.

Photographs are whitened and low-passed by the paper's filter; atoms are learnt by its gradient steps. A Gabor
function, a wave of one frequency and orientation under a Gaussian whose axes lie along and across it, is
fitted to each atom by least squares. The full form takes about two minutes on two cores.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.data import images as real_images
from jaxtheory.lab import Claim, Lab, above, at_least, experiment, paired_difference
from jaxtheory.lab.show.mosaics import mosaic
from jaxtheory.sparse import dictionary

WELL = 0.7
"""The share of an atom's energy from which on a fit is a good one."""
BORDER = 8
"""Pixels left out where the whitening filter joined opposite sides."""
NARROWEST, HIGHEST = 0.6, 0.6
"""Standard deviations of an envelope in pixels at least, and frequencies in cycles a pixel at most."""
WIDTHS = ((0.1, 0.1), (0.1, 0.25), (0.25, 0.25))
"""Where fits start: the envelope's deviations along and across the wave, in sides of a patch."""
LOWERED = (1.0, 0.6)
"""And its frequencies, in those of the largest Fourier coefficient."""
FIT_STEPS = 60
BAR = "this project's bar; Olshausen and Field 1996, figure 4, show localised, oriented, band-pass atoms"


@dataclass(frozen=True)
class Config:
    photographs: tuple[str, ...] = (
        "china", "flower", "astronaut", "camera", "chelsea", "coffee", "coins", "rocket", "ascent", "aero"
    )  # fmt: skip
    """Natural images."""
    size: int = 12
    """Height and width of the patches, in pixels."""
    atoms: int = 100
    """Atoms that are learnt."""
    patches: int = 100_000
    """Patches to learn from, in each draw."""
    batch: int = 100
    """Patches of a step."""
    steps: tuple[int, ...] = (6000, 6000, 6000)
    """Steps taken at each rate."""
    rates: tuple[float, ...] = (0.2, 0.1, 0.05)
    """Rates of the gradient steps."""
    draws: int = 3
    """Dictionaries, each from patches and a start of its own."""


QUICK = Config(size=8, atoms=40, patches=20_000, steps=(500, 500, 500), draws=2)


def whitened(names: tuple[str, ...]) -> list[np.ndarray]:
    """Grey photographs, whitened, without their border, of unit variance."""
    found = []
    for name in names:
        x = np.asarray(dictionary.whiten_images(real_images.load(name, grey=True)))
        x = x[BORDER:-BORDER, BORDER:-BORDER]
        found.append(np.float32((x - x.mean()) / x.std()))
    return found


def learn(config: Config, images: list[np.ndarray], draw: int, key) -> dict[str, np.ndarray]:
    """Learnt atoms and principal components of one draw of patches, with their Gabor fits."""
    del draw  # it only separates the keys
    for_patches, for_start, for_batches = jax.random.split(key, 3)
    seed = np.asarray(jax.random.key_data(for_patches))
    x = real_images.patches(images, config.patches, config.size, seed=seed).reshape(config.patches, -1)
    start = jax.random.normal(for_start, (config.atoms, config.size**2))
    state = dictionary.sparsenet_init(start / jnp.linalg.norm(start, axis=1, keepdims=True))
    objective = []
    for steps, rate in zip(config.steps, config.rates):
        state, metrics = dictionary.sparsenet(
            state, x, for_batches, steps=steps, rate=rate, batch=config.batch
        )
        objective.append(np.asarray(metrics["objective"]))
    components = np.linalg.eigh(np.cov(x.T))[1].T[::-1]
    point = {"objective": np.concatenate(objective), "kurtosis": np.asarray(metrics["kurtosis"])[-50:].mean()}
    atoms = np.concatenate([state.dictionary, np.float32(components)]).reshape(-1, config.size, config.size)
    # One call, one compilation.
    found = {"atoms": atoms, **fit_gabors(atoms)}
    for name, part in (("learnt", slice(config.atoms)), ("pca", slice(config.atoms, None))):
        point |= {f"{name} {key}": np.asarray(value[part]) for key, value in found.items()}
        point[f"{name} share"] = 100 * np.mean(point[f"{name} explained"] > WELL)
    return point


def bounded(p, size: int):
    """Centre, deviations along and across, frequency and angle, of numbers without bounds."""
    place = size * jax.nn.sigmoid(p[:2]) - 0.5
    width = NARROWEST * (size / NARROWEST) ** jax.nn.sigmoid(p[2:4])
    return place, width, HIGHEST * jax.nn.sigmoid(p[4]), p[5]


def unbounded(place, width, frequency, angle, size: int):
    """The way back from `bounded`; what is out of bounds is moved into them."""

    def logit(share):
        return jax.scipy.special.logit(jnp.clip(share, 0.02, 0.98))

    widths = logit(jnp.log(width / NARROWEST) / np.log(size / NARROWEST))
    return jnp.concatenate([
        logit((place + 0.5) / size), widths, logit(frequency / HIGHEST)[None], angle[None]
    ])  # fmt: skip


def gabors(p, size: int):
    """The even and the odd Gabor function of some parameters on the pixels, (2, size * size)."""
    place, width, frequency, angle = bounded(p, size)
    down, right = jnp.arange(size)[:, None] - place[0], jnp.arange(size) - place[1]
    along = jnp.cos(angle) * right + jnp.sin(angle) * down
    across = jnp.cos(angle) * down - jnp.sin(angle) * right
    envelope = jnp.exp(-((along / width[0]) ** 2 + (across / width[1]) ** 2) / 2)
    phase = 2 * jnp.pi * frequency * along
    return jnp.stack([envelope * jnp.cos(phase), envelope * jnp.sin(phase)]).reshape(2, -1)


def misfit(p, atom, size: int):
    """What the Gabor function of the best amplitude and phase leaves of an atom."""
    basis = gabors(p, size)
    gram = jnp.matmul(basis, basis.T, precision="highest")
    # The odd one vanishes with the frequency.
    gram = gram + 1e-6 * jnp.trace(gram) * jnp.eye(2)
    amplitude = jnp.linalg.solve(gram, jnp.matmul(basis, atom, precision="highest"))
    return atom - jnp.matmul(amplitude, basis, precision="highest")


def starts(atom):
    """Parameters to start from, at the atom's energy and the largest of its Fourier coefficients."""
    size = len(atom)
    power = jnp.abs(jnp.fft.rfft2(atom, s=(4 * size, 4 * size))).at[0, 0].set(0)
    row, column = jnp.unravel_index(jnp.argmax(power), power.shape)
    vertical = jnp.asarray(np.fft.fftfreq(4 * size), atom.dtype)[row]
    horizontal = column / (4.0 * size)
    energy = atom**2 / jnp.sum(atom**2)
    at = jnp.arange(size)
    place = jnp.stack([jnp.sum(energy.sum(1) * at), jnp.sum(energy.sum(0) * at)])
    frequency, angle = jnp.hypot(vertical, horizontal), jnp.arctan2(vertical, horizontal)
    return jnp.stack([
        unbounded(place, size * jnp.array(width), lower * frequency, angle, size)
        for width in WIDTHS
        for lower in LOWERED
    ])  # fmt: skip


@jax.jit
def fit_gabors(atoms) -> dict[str, jax.Array]:
    """Gabor functions fitted to atoms (n, size, size), by Levenberg and Marquardt's method.

    Shares of the atoms' variance that they explain, and their places (n, 2), deviations along and across (n,
    2), frequencies and angles, the angle being that of the wave's direction from the rows', in [0, pi).
    """
    size = atoms.shape[-1]

    def fit(p, y):
        def step(_, carry):
            p, damping, left = carry
            jacobian = jax.jacfwd(misfit)(p, y, size)
            square = jnp.matmul(jacobian.T, jacobian, precision="highest")
            slope = jnp.matmul(left, jacobian, precision="highest")
            ridge = damping * jnp.diagonal(square) + 1e-7
            moved = p - jnp.linalg.solve(square + jnp.diag(ridge), slope)
            new = misfit(moved, y, size)
            better = jnp.sum(new**2) < jnp.sum(left**2)
            damping = jnp.clip(jnp.where(better, damping / 3, 4 * damping), 1e-6, 1e6)
            return jnp.where(better, moved, p), damping, jnp.where(better, new, left)

        p, _, left = jax.lax.fori_loop(0, FIT_STEPS, step, (p, jnp.float32(0.1), misfit(p, y, size)))
        return p, jnp.sum(left**2)

    def best(atom):
        atom = atom / jnp.linalg.norm(atom)
        found, left = jax.vmap(fit, (0, None))(starts(atom), atom.ravel())
        p = found[jnp.argmin(left)]
        place, width, frequency, angle = bounded(p, size)
        explained = 1 - jnp.min(left) / jnp.sum((atom - atom.mean()) ** 2)
        return explained, place, width, frequency, angle % jnp.pi

    names = ("explained", "place", "width", "frequency", "angle")
    return dict(zip(names, jax.vmap(best)(atoms)))


def bandwidth(width: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Octaves between the frequencies at which a Gabor function's spectrum has half its height."""
    half = np.sqrt(2 * np.log(2)) / (2 * np.pi * width)
    return np.log2((frequency + half) / np.maximum(frequency - half, 1e-3))


@experiment
def run(config: Config, lab: Lab) -> list[Claim]:
    lab.uses(real_images.describe(*config.photographs))
    images = whitened(config.photographs)
    found = lab.sweep("dictionaries", partial(learn, config, images), draw=range(config.draws))
    shares = {name: found[f"{name} share"] for name in ("learnt", "pca")}
    good = found["learnt explained"].values > WELL
    octaves = bandwidth(found["learnt width"].values[..., 0], found["learnt frequency"].values)[good]
    lab.record(
        learnt=shares["learnt"].values, pca=shares["pca"].values, bandwidth=float(np.median(octaves)),
        kurtosis=found["kurtosis"].values,
    )  # fmt: skip
    lab.note(
        f"The median bandwidth of the well fitted atoms is {np.median(octaves):.2f} octaves; the mean "
        f"kurtosis of the codes is {found['kurtosis'].values.mean():.0f}, of a Gaussian 3."
    )
    first = {name: values[0] for name, values in found.values.items()}
    lab.figure(
        "mosaics",
        plot_mosaics(first),
        caption="Learnt atoms and principal components, those that a Gabor function fits best first; each "
        "has its own grey scale.",
    )
    lab.figure(
        "frequency_and_orientation",
        plot_scatter(found.values),
        caption="Gabor functions fitted to learnt atoms: frequency and direction of the wave, and how much "
        "of an atom they explain.",
    )
    return [
        Claim(
            "At least 80 % of the learnt atoms are well fitted by a Gabor function, R² > 0.7.",
            expected=at_least(80, unit="%", source=BAR),
            measured=shares["learnt"].at(),
        ),
        Claim(
            "More of the learnt atoms are than of the principal components of the same patches.",
            expected=above(
                0, unit="points", source="Olshausen and Field 1996, figure 1: components are global"
            ),
            measured=paired_difference(shares["learnt"], shares["pca"]),
        ),
    ]


def plot_mosaics(point: dict[str, np.ndarray]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.8), layout="constrained")
    titles = {"learnt": "learnt atoms", "pca": "principal components"}
    for panel, (name, title) in zip(figure.subplots(1, 2), titles.items()):
        explained = point[f"{name} explained"]
        order = np.argsort(-explained)
        panel.imshow(mosaic(point[f"{name} atoms"][order]), cmap="gray", vmin=-1, vmax=1)
        panel.set_title(f"{title}: {100 * np.mean(explained > WELL):.0f} % with R² > {WELL}", fontsize=10)
        panel.set_xticks([])
        panel.set_yticks([])
    return figure


def plot_scatter(values: dict[str, np.ndarray]):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left = figure.add_subplot(1, 2, 1, projection="polar")
    explained = values["learnt explained"]
    good = explained > WELL
    frequency, angle = values["learnt frequency"][good], values["learnt angle"][good]
    points = left.scatter(angle, frequency, c=explained[good], s=14, cmap="viridis", vmin=WELL, vmax=1)
    left.set_thetalim(0, np.pi)
    left.set_rlim(0, 0.6)
    left.set_rticks([0.2, 0.4, 0.6])
    left.set_xlabel("radius: cycles a pixel; angle: direction of the wave")
    figure.colorbar(points, ax=left, shrink=0.7, label="R²")
    right = figure.add_subplot(1, 2, 2)
    edges = np.linspace(0, 1, 21)
    for name, label, colour in (("learnt", "learnt atoms", "#0072b2"), ("pca", "components", "#d55e00")):
        shown = np.clip(values[f"{name} explained"].ravel(), 0, 1)
        weights = np.full(shown.size, 100 / shown.size)
        right.hist(shown, edges, weights=weights, histtype="step", lw=1.8, color=colour, label=label)
    right.axvline(WELL, color="0.5", lw=1, ls="--")
    right.set(xlabel="R² of the best Gabor function", ylabel="% of the atoms")
    right.legend(fontsize=8, loc="upper left")
    return figure
