"""The table of public functions with sample arguments: one row each, and what applies to it.

`tests/test_examples.py` takes every row through jit, vmap, grad against finite differences, double
precision, export and eight devices. A form that does not apply says why, in words, instead of `True`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxtheory.harmonic import deformation, scattering2d, wavelets
from jaxtheory.kernels.fista import api as fista
from jaxtheory.networks import training
from jaxtheory.sparse import coherence, convolutional, dictionary, multilayer, proximal, pursuit
from jaxtheory.sparse.unrolled import alista, convolutional_lista, lista, lista_cp, ml_ista
from jaxtheory.statistics import classifiers


@dataclass(frozen=True)
class Example:
    """A public function with sample arguments.

    `make(rng)` returns the positional arguments: pytrees of float32 NumPy or JAX arrays, traced in every
    test. `options` are keyword arguments that stay static. `leading` are the positions of arguments that
    take leading axes (an event-shaped sample is given); the others are shared. Each form is `True`, or the
    reason why it does not apply.
    """

    function: Callable[..., Any]
    make: Callable[..., tuple[Any, ...]]
    options: dict[str, Any] | None = None
    leading: tuple[int, ...] = (0,)
    differentiable: tuple[int, ...] | None = None
    """Positions of the arguments to differentiate; `None` for those with leading axes."""
    jit: bool | str = True
    vmap: bool | str = True
    grad: bool | str = True
    x64: bool | str = True
    export: bool | str = "a small function; whole programs are exported"
    devices: bool | str = "a small function; whole programs are run on eight devices"
    tolerance: float = 1e-5
    """Largest difference between two forms, relative to the largest value, in float32."""
    name: str = ""

    @property
    def id(self) -> str:
        """The function's name with its module, and what tells this row from others of the function."""
        module = self.function.__module__.removeprefix("jaxtheory.")
        return f"{module}.{self.function.__name__}" + (f"[{self.name}]" if self.name else "")


SMALL = "a small function; whole programs are exported and run on eight devices"


def _float32(rng, *shape: int):
    """Standard normal numbers in single precision."""
    return np.float32(rng.standard_normal(shape))


def _wave(rng):
    """Frequency, width, angle and slant of a wavelet, as arrays: numbers give filters in NumPy."""
    return tuple(jnp.float32(value + 0.05 * rng.standard_normal()) for value in (1.8, 1.2, 0.5, 0.7))


def _scattered(rng, *shape: int, **facts):
    """A bank with images, or one image, of its shape."""
    return scattering2d.filter_bank(shape[-2:], **{"J": 2, "L": 2} | facts), _float32(rng, *shape)


def _thresholded(rng):
    """Three numbers, some of them beyond the threshold beside them."""
    return _float32(rng, 3), np.float32(rng.uniform(0.2, 0.6, 1))


def _directions(rng):
    """Five atoms of unit norm."""
    atoms = _float32(rng, 5, 3)
    return (atoms / np.linalg.norm(atoms, axis=-1, keepdims=True),)


def _guaranteed(rng):
    """A coherence, and three numbers from one to two."""
    return np.float32(rng.uniform(0.05, 0.1)), *(np.float32(rng.uniform(1, 2)) for _ in range(3))


def _coded(rng):
    """Two atoms of 3 x 2 pixels with two channels, and an image."""
    return _float32(rng, 3, 2, 2, 2), _float32(rng, 6, 5, 2)


def _layered(rng):
    """Dictionaries of two layers, a signal of eight samples, and a number for each layer."""
    dictionaries = (_float32(rng, 3, 1, 2), _float32(rng, 2, 2, 3))
    return dictionaries, _float32(rng, 8, 1), (np.float32(0.4), np.float32(rng.uniform(0.2, 0.3)))


def _one_layer(rng):
    """The first of the two layers alone."""
    dictionaries, x, numbers = _layered(rng)
    return dictionaries[:1], x, numbers[:1]


def _unit_layers(rng):
    """Dictionaries of two layers, atoms of unit norm."""
    return (tuple(d / np.linalg.norm(d.reshape(-1, d.shape[-1]), axis=0) for d in _layered(rng)[0]),)


def _promised(rng):
    """Coherences, figures of sparse codes and noise for which guarantees hold."""
    figures = [np.float32(rng.uniform(*ends, 2)) for ends in ((2, 3), (2, 4), (1, 1.1), (1.1, 1.3))]
    return np.float32([0.01, 0.02]), multilayer.Sparsity(*figures), np.float32(rng.uniform(0.001, 0.002))


def _correlated(rng):
    """The Gram matrix of four atoms, a signal's correlations with them, a penalty and a step size."""
    dictionary = _float32(rng, 4, 6)
    return dictionary @ dictionary.T / 6, dictionary @ _float32(rng, 6), np.float32(0.2), np.float32(0.3)


def _misfit(params, batch):
    """Half the mean square of what a linear map leaves of targets."""
    x, y = batch
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2) / 2


def _started(rng):
    """A training at its start, and six examples."""
    params = {"w": _float32(rng, 3), "b": _float32(rng)}
    start = training.init(params, jax.random.key(0), optimizer=DESCENT["optimizer"])
    return start, (_float32(rng, 6, 3), _float32(rng, 6))


def _classified(rng):
    """An example's logits and label."""
    return _float32(rng, 5), jnp.int32(rng.integers(5))


DESCENT = {"objective": training.stateless(_misfit), "optimizer": optax.sgd(0.1, momentum=0.9)}
ONE_TRAINING = "one training: seeds are mapped over with vmap, as tests/networks/test_training.py does"
TRAINING_EXPORT = (
    "the named tuples of an optimiser's state are the caller's to register: tests/networks/test_training.py "
    "exports a run"
)
TRAINING_DEVICES = "devices average their gradients: tests/networks/test_training.py holds eight against one"


def _pursued(rng):
    """Four atoms at right angles, and a signal that needs two or three of them."""
    atoms = np.linalg.qr(rng.standard_normal((5, 5)))[0][:4]
    codes = np.array([2.0, -1.5, 1.0, 0.05]) + 0.02 * rng.standard_normal(4)
    return np.float32(atoms), np.float32(codes @ atoms)


def _oblique(rng):
    """Six atoms of five features, and a signal that is far from its minimum after a few steps."""
    return _float32(rng, 6, 5), _float32(rng, 5) + np.float32([3, 0, 0, 0, 0])


def _learning(rng, method: str):
    """A learning at its start, from six atoms of five features, and ten signals."""
    return getattr(dictionary, f"{method}_init")(_float32(rng, 6, 5)), _float32(rng, 10, 5)


ONE_LEARNING = "one dictionary, a row a signal; tests/sparse maps over seeds"
OF_SIGNALS_AND_CODES = "its codes stop at a tolerance: tests/sparse holds a step against the dense one"
STOPS = "stops at a tolerance or after some steps: codes of the minimum itself are tests/sparse's"
CHOICES = "atoms are chosen one by one, which has no derivative"

CUT_SHORT = "its derivative is that of the minimum, where the row of that name goes"
ONE_MODEL = "one model at a time"
HALVED = "the size of its step is found by halving, and has no derivative"
CLIPPED = "its step goes as far as the ball, and has no derivative there"
GAP_MAPPED = "the gap that remains is rounding: tests/sparse maps the codes"
GAP_RIGID = "the gap and the steps have no derivative: tests/sparse differentiates the codes"
STEPS_ROUNDED = "steps are counted by rounding: tests/sparse holds the codes against scikit-learn"
AT_THE_MINIMUM = "there, its gap is the rounding itself; tests/sparse holds its codes against others'"
ONE_BANK = "one bank at a time: its filters are those of one shape and one set of scales"


def _unrolled(make, **options):
    """Parameters of an unrolled pursuit of three layers with six atoms of four features, and a signal."""

    def of(rng):
        dictionary = _float32(rng, 6, 4)
        dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
        return make(jax.random.key(0), dictionary, steps=3, **options), 2 * _float32(rng, 4)

    return of


def _unrolled_convolutions(rng):
    """Parameters of a convolutional one with two filters, and an image."""
    params = convolutional_lista.init(jax.random.key(0), _float32(rng, 3, 2, 2, 2), steps=3, penalty=0.3)
    return params, _float32(rng, 6, 5, 2)


def _unfolded(**options):
    """Parameters of a multilayer one of two small layers, and an image of 8 x 9 pixels."""

    def of(rng):
        sizes = {"atoms": (3, 4), "kernel_size": (3, 2), "strides": (2, 1), "outputs": 3}
        params = ml_ista.init(jax.random.key(0), (8, 9), scale=1.0, **sizes, **options)
        return params, _float32(rng, 8, 9)

    return of


ONE_DICTIONARY = "one dictionary at a time"


def _labelled(rng):
    """Twenty rows of four features, and their labels in three classes."""
    return _float32(rng, 20, 4), np.arange(20) % 3


def _affine(rng):
    """Affine spaces of up to two dimensions, and one row."""
    return classifiers.affine_fit(*_labelled(rng), classes=3, dimension=2), _float32(rng, 4)


def _softmax(rng):
    """Softmax regression, and one row."""
    return classifiers.softmax_fit(*_labelled(rng), classes=3, penalty=0.1), _float32(rng, 4)


CLASSES = "classes are integers: they have no derivative"
ONE_TRAINING_SET = "one training set, a row an example; tests/statistics maps it"

EXAMPLES: list[Example] = [
    # harmonic.deformation
    Example(
        deformation.warp,
        lambda rng: (_float32(rng, 9, 12), 2 * _float32(rng, 2, 9, 12)),
        leading=(0, 1),
    ),
    Example(
        deformation.warp,
        lambda rng: (_float32(rng, 9, 12), 2 * _float32(rng, 2, 9, 12)),
        {"boundary": "reflect"},
        leading=(0, 1),
        name="reflect",
    ),
    Example(deformation.translate, lambda rng: (_float32(rng, 9, 12), _float32(rng, 2)), leading=(0, 1)),
    Example(deformation.dilate, lambda rng: (_float32(rng, 9, 12), _float32(rng)), leading=(0, 1)),
    Example(deformation.rotate, lambda rng: (_float32(rng, 9, 12), _float32(rng)), leading=(0, 1)),
    Example(deformation.dilation, lambda rng: (_float32(rng),), {"shape": (9, 12)}),
    Example(deformation.rotation, lambda rng: (_float32(rng),), {"shape": (9, 12)}),
    Example(deformation.displacement_norms, lambda rng: (_float32(rng, 2, 9, 12),), {"periodic": True}),
    Example(
        deformation.displacement_norms,
        lambda rng: (_float32(rng, 2, 9, 12),),
        {"periodic": False},
        name="differences",
    ),
    Example(
        deformation.random_displacement,
        lambda rng: (jax.random.key(int(rng.integers(1 << 30))),),
        {"shape": (9, 12), "smoothness": 2.0, "max_gradient": 0.25},
        vmap="one key, one draw: map over the keys",
        grad="a draw has no derivative in its key",
        x64="double precision draws other numbers",
    ),
    # harmonic.scattering2d
    Example(
        scattering2d.scatter,
        lambda rng: _scattered(rng, 10, 12),
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.scatter,
        lambda rng: _scattered(rng, 8, 12, padding="periodic", wavelet="spline"),
        {"chunk": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="spline",
    ),
    Example(
        scattering2d.propagate,
        lambda rng: _scattered(rng, 10, 12),
        leading=(1,),
        differentiable=(0, 1),
        export="its result is keyed by scales, and exported dictionaries are keyed by strings",
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: _scattered(rng, 8, 8, padding="periodic"),
        {"order": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: _scattered(rng, 8, 8, padding="periodic", wavelet="spline"),
        {"order": 2, "paths": "decreasing"},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="decreasing",
    ),
    # harmonic.wavelets
    Example(wavelets.gabor_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK),
    Example(wavelets.morlet_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK),
    Example(
        wavelets.morlet_bank,
        lambda _: (wavelets.morlet_parameters(2, 3),),
        {"shape": (8, 12), "J": 2, "L": 3},
        (),
        (0,),
        vmap=ONE_BANK,
    ),
    Example(wavelets.low_pass_2d, lambda rng: _scattered(rng, 8, 12)[:1], None, (), (0,), vmap=ONE_BANK),
    Example(wavelets.littlewood_paley, lambda rng: _scattered(rng, 8, 12)[:1], None, (), (0,), vmap=ONE_BANK),
    # kernels.fista.api
    Example(
        fista.fista,
        _correlated,
        {"steps": 6},
        (1,),
        grad="declines: tests/kernels reads what it says, and the row below differentiates the steps",
        export=True,
        devices=True,
    ),
    Example(
        fista.fista,
        _correlated,
        {"steps": 6, "nonnegative": True, "implementation": "reference"},
        (1,),
        (0, 1, 2, 3),
        name="reference",
    ),
    # networks.training
    Example(
        training.init,
        lambda rng: ({"w": _float32(rng, 3)}, jax.random.key(0)),
        {"optimizer": optax.adam(0.1)},
        (),
        (0,),
        vmap=ONE_TRAINING,
    ),
    Example(
        training.step,
        _started,
        {**DESCENT, "gradient_norm": True},
        (),
        (1,),
        vmap=ONE_TRAINING,
        export=TRAINING_EXPORT,
        devices=TRAINING_DEVICES,
    ),
    Example(
        training.run,
        _started,
        {**DESCENT, "steps": 7, "batch": 2},
        (),
        (1,),
        vmap=ONE_TRAINING,
        export=TRAINING_EXPORT,
        devices=TRAINING_DEVICES,
    ),
    Example(training.cross_entropy, _classified, None, (0, 1), (0,)),
    Example(training.squared_error, lambda rng: (_float32(rng, 5), _float32(rng, 5)), leading=(0, 1)),
    Example(training.accuracy, _classified, None, (0, 1), grad="constant but where it jumps"),
    # sparse.coherence
    Example(coherence.mutual_coherence, _directions),
    Example(coherence.babel, _directions),
    Example(coherence.spark_bound, _directions, grad="a count has no derivative"),
    Example(
        coherence.shift_coherence,
        lambda rng: (np.moveaxis(_directions(rng)[0].reshape(5, 3, 1), 0, -1),),
        None,
        (),
        (0,),
        vmap="one dictionary at a time",
    ),
    Example(
        coherence.stripe_sparsity,
        lambda rng: (_float32(rng, 6, 7, 2) * (rng.random((6, 7, 2)) < 0.2),),
        {"kernel": (2, 3)},
        grad="a count has no derivative",
        devices=True,
    ),
    Example(coherence.uniqueness_sparsity, lambda rng: _guaranteed(rng)[:1]),
    Example(coherence.thresholding_sparsity, _guaranteed, leading=(0, 1, 2, 3)),
    Example(coherence.omp_sparsity, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    Example(coherence.omp_error, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    Example(coherence.stability_error, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    Example(coherence.basis_pursuit_error, lambda rng: _guaranteed(rng)[:3], leading=(0, 1, 2)),
    # sparse.convolutional
    Example(convolutional.analyze, _coded, None, (1,), (0, 1), export=True, devices=True),
    Example(convolutional.synthesize, _coded, {"boundary": "zero"}, (1,), (0, 1), export=True, devices=True),
    Example(
        convolutional.lasso,
        lambda rng: (*_coded(rng), jnp.float32(1.0)),
        {"tolerance": 1e-12, "max_steps": 400},
        (1,),
        (0, 1, 2),
        vmap=GAP_MAPPED,
        grad=GAP_RIGID,
        x64=STEPS_ROUNDED,
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
    Example(
        convolutional.learn_init,
        lambda rng: _coded(rng)[:1],
        None,
        (),
        vmap=ONE_MODEL,
        grad="its objective is infinite as long as there is none",
    ),
    Example(
        convolutional.learn_step,
        lambda rng: (convolutional.learn_init(_coded(rng)[0]), _float32(rng, 2, 6, 5, 2), jnp.float32(1.0)),
        {"tolerance": 1e-12, "max_steps": 20, "filter_steps": 3},
        (),
        vmap="one objective, over all images",
        grad=CLIPPED,
        tolerance=1e-4,
    ),
    Example(
        convolutional.learn,
        lambda rng: (_coded(rng)[0], _float32(rng, 2, 6, 5, 2), jnp.float32(1.0)),
        {"steps": 2, "tolerance": 1e-12, "max_steps": 20, "filter_steps": 3},
        (),
        vmap="one objective, over all images",
        grad=CLIPPED,
        tolerance=1e-4,
    ),
    Example(
        convolutional.lowpass,
        lambda rng: (_float32(rng, 6, 5, 2), jnp.float32(2.0)),
        None,
        (0,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        convolutional.denoise,
        lambda rng: (*_coded(rng), jnp.float32(0.5)),
        {"tolerance": 1e-12, "max_steps": 400},
        (1,),
        vmap=GAP_MAPPED,
        grad=GAP_RIGID,
        x64=STEPS_ROUNDED,
        tolerance=1e-4,
    ),
    Example(
        convolutional.inpaint,
        lambda rng: (*_coded(rng), np.float32(rng.random((6, 5, 2)) > 0.3), jnp.float32(1.0)),
        {"tolerance": 1e-12, "max_steps": 400},
        (1,),
        vmap=GAP_MAPPED,
        grad=GAP_RIGID,
        x64=STEPS_ROUNDED,
        tolerance=1e-4,
    ),
    # sparse.dictionary
    Example(
        dictionary.denoise,
        lambda rng: (_float32(rng, 5, 4), _float32(rng, 4, 5), jnp.float32(0.3)),
        {"size": (2, 2)},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
    Example(
        dictionary.sample_atoms,
        lambda rng: (jax.random.key(0), _float32(rng, 10, 4)),
        {"atoms": 3},
        (1,),
        vmap=ONE_LEARNING,
        grad=True,
        x64="double precision draws other numbers",
    ),
    Example(dictionary.online_init, lambda rng: (_float32(rng, 6, 5),), vmap=ONE_LEARNING),
    Example(
        dictionary.online_step,
        lambda rng: (*_learning(rng, "online"), np.float32(0.4)),
        {"tolerance": 1e-5},
        (1,),
        vmap=ONE_LEARNING,
        grad=OF_SIGNALS_AND_CODES,
        x64=OF_SIGNALS_AND_CODES,
        tolerance=1e-3,
    ),
    Example(
        dictionary.online,
        lambda rng: (*_learning(rng, "online"), np.float32(0.4), jax.random.key(0)),
        {"steps": 2, "batch": 8, "tolerance": 1e-5},
        (1,),
        vmap=ONE_LEARNING,
        grad=OF_SIGNALS_AND_CODES,
        x64="double precision draws other numbers",
        tolerance=1e-3,
    ),
    Example(dictionary.ksvd_init, lambda rng: (_float32(rng, 6, 5),), vmap=ONE_LEARNING),
    Example(
        dictionary.ksvd_step,
        lambda rng: _learning(rng, "ksvd"),
        {"sparsity": 2},
        (1,),
        vmap=ONE_LEARNING,
        grad=CHOICES,
        tolerance=1e-4,
    ),
    Example(
        dictionary.ksvd,
        lambda rng: _learning(rng, "ksvd"),
        {"sparsity": 2, "steps": 2},
        (1,),
        vmap=ONE_LEARNING,
        grad=CHOICES,
        tolerance=1e-4,
    ),
    Example(
        dictionary.cauchy_codes,
        lambda rng: (_float32(rng, 6, 5), _float32(rng, 5), np.float32(0.3), np.float32(1.1)),
        {"max_steps": 5, "tolerance": 0.0},
        (1,),
        grad=STOPS,
        devices=True,
        tolerance=1e-4,
    ),
    Example(dictionary.sparsenet_init, lambda rng: (_float32(rng, 6, 5),), vmap=ONE_LEARNING),
    Example(
        dictionary.sparsenet_step,
        lambda rng: _learning(rng, "sparsenet"),
        {"rate": 0.1, "max_steps": 5, "tolerance": 0.0},
        (1,),
        vmap=ONE_LEARNING,
        grad=STOPS,
        tolerance=1e-4,
    ),
    Example(
        dictionary.sparsenet,
        lambda rng: (*_learning(rng, "sparsenet"), jax.random.key(0)),
        {"steps": 2, "batch": 8, "rate": 0.1, "max_steps": 5, "tolerance": 0.0},
        (1,),
        vmap=ONE_LEARNING,
        grad=STOPS,
        x64="double precision draws other numbers",
        tolerance=1e-4,
    ),
    Example(dictionary.whiten_images, lambda rng: (_float32(rng, 6, 7),), devices=True),
    Example(dictionary.whitening, lambda rng: (_float32(rng, 20, 4),), vmap=ONE_LEARNING, tolerance=1e-4),
    Example(
        dictionary.whiten,
        lambda rng: (dictionary.whitening(_float32(np.random.default_rng(5), 20, 4)), _float32(rng, 4)),
        None,
        (1,),
        (0, 1),
        devices=True,
    ),
    Example(
        dictionary.unwhiten,
        lambda rng: (dictionary.whitening(_float32(np.random.default_rng(5), 20, 4)), _float32(rng, 4)),
        None,
        (1,),
        (0, 1),
        devices=True,
    ),
    # sparse.multilayer
    Example(
        multilayer.synthesize,
        lambda rng: (_layered(rng)[0], _float32(rng, 4, 3)),
        {"strides": (2, 1)},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(multilayer.coherences, _unit_layers, None, (), (0,), vmap=ONE_MODEL),
    Example(
        multilayer.squared_norms, lambda rng: _layered(rng)[:1], {"size": (8,)}, (), (0,), vmap=ONE_MODEL
    ),
    Example(multilayer.patch_norm, lambda rng: (_float32(rng, 6, 5, 2),), {"kernel": (2, 3)}),
    Example(
        multilayer.sparsity,
        lambda rng: (_layered(rng)[0], (_float32(rng, 8, 2), _float32(rng, 8, 3))),
        None,
        (1,),
    ),
    Example(
        multilayer.layered_thresholding,
        _layered,
        {"strides": (2, 1)},
        (1,),
        (0, 1, 2),
        export=True,
        devices=True,
    ),
    Example(
        multilayer.layered_basis_pursuit,
        _one_layer,
        {"max_steps": 4},
        (1,),
        grad=CUT_SHORT,
        x64="the size of its steps is an estimate; tests/sparse holds it in double precision",
        devices=True,
    ),
    Example(
        multilayer.layered_basis_pursuit,
        _one_layer,
        {"tolerance": 1e-14},
        (1,),
        (0, 1, 2),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        x64=AT_THE_MINIMUM,
        name="minimum",
    ),
    Example(multilayer.ml_ista, _layered, {"steps": 4}, (1,), (0, 1, 2), export=True, devices=True),
    Example(multilayer.ml_fista, _layered, {"steps": 4}, (1,), (0, 1, 2), export=True, devices=True),
    Example(multilayer.uniqueness_guarantee, lambda rng: _promised(rng)[:2], None, (1,), (0,)),
    Example(multilayer.stability_guarantee, _promised, None, (1, 2), (0, 1, 2)),
    Example(multilayer.thresholding_guarantee, _promised, {"kind": "hard"}, (1, 2), (0, 1, 2)),
    Example(multilayer.basis_pursuit_guarantee, _promised, None, (1, 2), (0, 1, 2)),
    Example(
        multilayer.learn_init,
        lambda rng: _layered(rng)[:1],
        None,
        (),
        vmap=ONE_MODEL,
        grad="its objective is infinite as long as there is none",
    ),
    Example(
        multilayer.learn_step,
        lambda rng: (multilayer.learn_init(_layered(rng)[0]), _float32(rng, 4, 8, 1), _layered(rng)[2]),
        {"code_steps": 5},
        (),
        vmap="one objective, over all images",
        grad=HALVED,
    ),
    Example(
        multilayer.learn,
        lambda rng: (_layered(rng)[0], _float32(rng, 4, 8, 1), _layered(rng)[2]),
        {"steps": 3, "code_steps": 5},
        (),
        vmap="one objective, over all images",
        grad=HALVED,
    ),
    # sparse.proximal
    Example(proximal.soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.nonnegative_soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.hard_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.group_soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.l0_ball, lambda rng: (_float32(rng, 6),), {"sparsity": 2}),
    Example(
        proximal.elastic_net,
        lambda rng: (*_thresholded(rng), np.float32(rng.uniform(size=1))),
        leading=(0, 1, 2),
    ),
    # sparse.pursuit
    # Cut short, all precisions do the same; at the minimum, a gap is the rounding itself.
    Example(
        pursuit.lasso,
        lambda rng: (*_oblique(rng), np.float32(0.4)),
        {"max_steps": 4},
        (1,),
        grad=CUT_SHORT,
        devices=True,
    ),
    Example(
        pursuit.lasso,
        lambda rng: (*_oblique(rng), np.float32(rng.uniform(0.3, 0.5, 6))),
        {"max_steps": 4, "nonnegative": True},
        (1,),
        grad=CUT_SHORT,
        name="nonnegative",
    ),
    Example(
        pursuit.lasso,
        lambda rng: (*_pursued(rng), np.float32(0.4)),
        {"tolerance": 1e-14},
        (1,),
        (0, 1, 2),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        x64=AT_THE_MINIMUM,
        name="minimum",
    ),
    Example(
        pursuit.lasso_path,
        lambda rng: (*_oblique(rng), np.float32([1.2, 0.4])),
        {"max_steps": 4},
        (1,),
        vmap="the first axis of its result is that of the penalties",
        grad=CUT_SHORT,
    ),
    Example(
        pursuit.lasso_path,
        lambda rng: (*_pursued(rng), np.float32([1.2, 0.4])),
        {"tolerance": 1e-14},
        (1,),
        (0, 1, 2),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        x64=AT_THE_MINIMUM,
        name="minimum",
    ),
    Example(
        pursuit.basis_pursuit,
        _pursued,
        None,
        (1,),
        jit=AT_THE_MINIMUM,
        vmap=AT_THE_MINIMUM,
        grad="stops as soon as the signal is met: tests/sparse holds its codes against linear programming",
        x64=AT_THE_MINIMUM,
    ),
    Example(pursuit.thresholding, _pursued, {"sparsity": 2}, (1,), (0, 1), devices=True),
    Example(pursuit.orthogonal_matching_pursuit, _pursued, {"sparsity": 2}, (1,), (0, 1), devices=True),
    Example(pursuit.matching_pursuit, _pursued, {"steps": 2}, (1,), (0, 1), devices=True),
    # sparse.unrolled.alista
    Example(
        alista.init,
        lambda rng: (jax.random.key(0), _float32(rng, 6, 4)),
        {"steps": 3, "threshold": 0.3},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
    ),
    Example(
        alista.apply,
        _unrolled(alista.init, threshold=0.2, selection=(0.2, 0.4)),
        {"iterates": False, "remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(alista.analytic_weight, lambda rng: (_float32(rng, 6, 4),), None, (), (0,), vmap=ONE_DICTIONARY),
    Example(
        alista.generalized_coherence,
        lambda rng: (_float32(rng, 6, 4), _float32(rng, 6, 4)),
        None,
        (),
        (0, 1),
        vmap=ONE_DICTIONARY,
    ),
    # sparse.unrolled.convolutional_lista
    Example(
        convolutional_lista.init,
        lambda rng: (jax.random.key(0), _float32(rng, 3, 2, 2, 2)),
        {"steps": 3, "penalty": 0.3},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
    ),
    Example(convolutional_lista.apply, _unrolled_convolutions, None, (1,), (0, 1), export=True, devices=True),
    Example(
        convolutional_lista.reconstruct,
        lambda rng: (_unrolled_convolutions(rng)[0], _float32(rng, 6, 5, 2)),
        None,
        (1,),
        (0, 1),
    ),
    # sparse.unrolled.lista
    Example(
        lista.init,
        lambda rng: (jax.random.key(0), _float32(rng, 6, 4)),
        {"steps": 3, "penalty": 0.2},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
    ),
    Example(lista.apply, _unrolled(lista.init, penalty=0.2), None, (1,), (0, 1), export=True, devices=True),
    Example(
        lista.apply,
        _unrolled(lista.init, penalty=0.2, tied=False),
        {"remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        name="untied",
    ),
    # sparse.unrolled.lista_cp
    Example(
        lista_cp.init,
        lambda rng: (jax.random.key(0), _float32(rng, 6, 4)),
        {"steps": 3, "penalty": 0.2},
        (),
        (1,),
        vmap=ONE_DICTIONARY,
    ),
    Example(
        lista_cp.apply,
        _unrolled(lista_cp.init, penalty=0.2, tied=True),
        None,
        (1,),
        (0, 1),
        export=True,
        devices=True,
    ),
    Example(
        lista_cp.apply,
        _unrolled(lista_cp.init, penalty=0.2, selection=(0.2, 0.4)),
        {"remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        name="selection",
    ),
    Example(
        lista_cp.selective_threshold,
        lambda rng: (_float32(rng, 6), np.float32(rng.uniform(0.2, 0.6, 1))),
        {"selected": 2},
        (0, 1),
    ),
    # sparse.unrolled.ml_ista
    Example(
        ml_ista.init,
        lambda _: (jax.random.key(0),),
        {"shape": (28, 28), "unfoldings": 1},
        vmap="one key, one draw: map over the keys",
        grad="a draw has no derivative in its key",
        x64="double precision draws other numbers",
    ),
    Example(ml_ista.apply, _unfolded(unfoldings=0), None, (1,), (0, 1), export=True, devices=True),
    Example(
        ml_ista.apply,
        _unfolded(unfoldings=3, accelerated=True),
        {"remat": True},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        name="accelerated",
    ),
    Example(ml_ista.encode, _unfolded(unfoldings=2), None, (1,), (0, 1), devices=True),
    # statistics.classifiers
    Example(
        classifiers.affine_fit,
        _labelled,
        {"classes": 3, "dimension": 2, "capacity": 7},
        vmap=ONE_TRAINING_SET,
        grad="eigenvectors have no derivative where variances are equal, as those beyond a class's rank are",
        x64="its residual is the rounding itself; tests/statistics holds its spaces against SVD",
    ),
    Example(classifiers.affine_distances, _affine, None, (1,), (0, 1), devices=True),
    Example(classifiers.affine_predict, _affine, {"dimension": 1}, (1,), grad=CLASSES, devices=True),
    Example(
        classifiers.affine_errors,
        lambda rng: (*_affine(rng)[:1], *_labelled(rng)),
        vmap="one rate over all rows",
        grad="a share of examples: constant but where it jumps",
    ),
    Example(
        classifiers.softmax_fit,
        _labelled,
        {"classes": 3, "penalty": 0.1, "tolerance": 0.0, "max_steps": 60},
        vmap=ONE_TRAINING_SET,
        x64="its gradient is the rounding itself; tests/statistics holds its weights against scikit-learn",
    ),
    # The model counts the steps of its fit: as a whole it has no derivative.
    Example(classifiers.softmax_logits, _softmax, None, (1,), devices=True),
    Example(classifiers.softmax_predict, _softmax, None, (1,), grad=CLASSES, devices=True),
    Example(
        classifiers.neighbours,
        lambda rng: (_float32(rng, 30, 4), _float32(rng, 4)),
        {"k": 3, "block": 16},
        (1,),
        (0, 1),
        devices=True,
    ),
    Example(
        classifiers.neighbours_predict,
        lambda rng: (*_labelled(rng), _float32(rng, 4)),
        {"classes": 3, "k": 4},
        (2,),
        grad=CLASSES,
        devices=True,
    ),
    Example(
        classifiers.error_rate,
        lambda rng: (rng.integers(0, 3, 20), rng.integers(0, 3, 20)),
        None,
        (0, 1),
        grad="integers have no derivative",
    ),
]

NOT_TRACED: dict[str, str] = {
    "harmonic.scattering2d.filter_bank": "makes filters from sizes; morlet_bank makes them from arrays",
    "harmonic.scattering2d.paths": "a table of what the channels hold",
    "harmonic.wavelets.morlet_parameters": "numbers for a count of scales and angles",
    "harmonic.wavelets.padded_shape": "sizes from sizes",
    "harmonic.wavelets.spline_bank": "makes filters from sizes",
    "kernels.fista.reference.extrapolate": "a line of the steps; taken through api.fista",
    "kernels.fista.reference.fista": "taken through api.fista, which checks what it is given",
    "kernels.fista.reference.shrink": "a line of the steps; taken through api.fista",
    "kernels.fista.specs.checks": "small problems by name",
    "kernels.fista.specs.operands": "shapes and dtypes of a size",
    "kernels.fista.specs.problem": "arrays of a size",
    "kernels.fista.specs.programs": "programs by name",
    "kernels.fista.tpu.block_size": "a size from a size",
    "kernels.fista.tpu.bytes_moved": "a number of sizes",
    "kernels.fista.tpu.fista": "taken through api.fista; tests/kernels holds it against the reference",
    "kernels.fista.tpu.padded_atoms": "a size from a size",
    "networks.functional.functional": "makes functions of a module; tests/networks transforms them",
    "networks.mlp.activation_function": "a function from its name",
    "networks.mlp.initialisers": "makes functions of variances",
    "networks.training.loss": "makes a function of functions",
    "networks.training.objective": "makes a function of functions; the rows of step and run take one",
    "networks.training.predictor": "makes a function of a function",
    "networks.training.stateless": "makes a function of a function; the rows of step and run take one",
    "statistics.classifiers.cross_validate": "calls a function once a fold; tests/statistics maps over keys",
    "sparse.coherence.gaussian": "an array of a size, from a key",
    "sparse.coherence.grassmannian": "a frame of a size, from a key",
    "sparse.coherence.hadamard_dirac": "a frame of a size",
    "sparse.coherence.welch_bound": "a number of counts",
    "sparse.multilayer.init": "arrays of given sizes, from a key",
    "sparse.multilayer.sample": "draws from a key; tests/sparse maps it over keys",
}
"""Public functions of the theories that take no traced array, each with the reason."""
