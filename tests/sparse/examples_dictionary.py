"""Rows of the table of examples: dictionary learning."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.sparse import dictionary
from tests.example_rows import Example, float32


def _learning(rng, method: str):
    """A learning at its start, from six atoms of five features, and ten signals."""
    return getattr(dictionary, f"{method}_init")(float32(rng, 6, 5)), float32(rng, 10, 5)


ONE_LEARNING = "one dictionary, a row a signal; tests/sparse maps over seeds"
OF_SIGNALS_AND_CODES = "its codes stop at a tolerance: tests/sparse holds a step against the dense one"
STOPS = "stops at a tolerance or after some steps: codes of the minimum itself are tests/sparse's"
CHOICES = "atoms are chosen one by one, which has no derivative"

EXAMPLES: list[Example] = [
    Example(
        dictionary.denoise,
        lambda rng: (float32(rng, 5, 4), float32(rng, 4, 5), jnp.float32(0.3)),
        {"size": (2, 2)},
        (1,),
        (0, 1),
        export=True,
        devices=True,
        tolerance=1e-4,
    ),
    Example(
        dictionary.sample_atoms,
        lambda rng: (jax.random.key(0), float32(rng, 10, 4)),
        {"atoms": 3},
        (1,),
        vmap=ONE_LEARNING,
        grad=True,
        x64="double precision draws other numbers",
    ),
    Example(dictionary.online_init, lambda rng: (float32(rng, 6, 5),), vmap=ONE_LEARNING),
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
    Example(dictionary.ksvd_init, lambda rng: (float32(rng, 6, 5),), vmap=ONE_LEARNING),
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
        lambda rng: (float32(rng, 6, 5), float32(rng, 5), np.float32(0.3), np.float32(1.1)),
        {"max_steps": 5, "tolerance": 0.0},
        (1,),
        grad=STOPS,
        devices=True,
        tolerance=1e-4,
    ),
    Example(dictionary.sparsenet_init, lambda rng: (float32(rng, 6, 5),), vmap=ONE_LEARNING),
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
    Example(dictionary.whiten_images, lambda rng: (float32(rng, 6, 7),), devices=True),
    Example(dictionary.whitening, lambda rng: (float32(rng, 20, 4),), vmap=ONE_LEARNING, tolerance=1e-4),
    Example(
        dictionary.whiten,
        lambda rng: (dictionary.whitening(float32(np.random.default_rng(5), 20, 4)), float32(rng, 4)),
        None,
        (1,),
        (0, 1),
        devices=True,
    ),
    Example(
        dictionary.unwhiten,
        lambda rng: (dictionary.whitening(float32(np.random.default_rng(5), 20, 4)), float32(rng, 4)),
        None,
        (1,),
        (0, 1),
        devices=True,
    ),
]

NOT_TRACED: dict[str, str] = {}
