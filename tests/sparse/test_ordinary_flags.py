"""Convolutional, multilayer and unrolled pursuits in a process with a user's flags: one device, two threads.

A loop that meets on all threads can hang there, and not among the eight virtual devices of other tests.
"""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax, jax.numpy as jnp
from jaxtheory.sparse import convolutional, multilayer
from jaxtheory.sparse.unrolled import alista, convolutional_lista, lista, lista_cp, unfolding

assert jax.device_count() == 1
key = jax.random.key(0)
filters = jax.random.normal(key, (3, 1, 8))
images = jax.random.normal(key, (2, 4, 16, 1))
layers = multilayer.init(key, [(3,), (3,)], (4, 6))
signals, atoms = jax.random.normal(key, (2, 30, 6)), (12, 6)
pictures = jax.random.normal(key, (2, 3, 8, 8))
small = {"atoms": (3, 4), "kernel_size": (3, 2), "strides": (2, 1), "outputs": 3}
functions = {
    "lasso": (lambda x: convolutional.lasso(filters, x, 0.5).codes, images),
    "denoise": (lambda x: convolutional.denoise(filters, x, 0.5).images, images),
    "inpaint": (lambda x: convolutional.inpaint(filters, x, x > 0, 0.1, max_steps=20).images, images),
    "thresholding": (lambda x: multilayer.layered_thresholding(layers, x, [0.1, 0.1]), images),
    "basis pursuit": (
        lambda x: [one.codes for one in multilayer.layered_basis_pursuit(layers, x, [0.3, 0.3])], images
    ),
    "ml_fista": (lambda x: multilayer.ml_fista(layers, x, [0.1, 0.1], steps=5).codes, images),
    "lista": (lambda x: lista.apply(lista.init(key, atoms, steps=3, penalty=0.1), x), signals),
    "lista_cp": (lambda x: lista_cp.apply(lista_cp.init(key, atoms, steps=3, penalty=0.1), x), signals),
    "alista": (lambda x: alista.apply(alista.init(key, atoms, steps=3, threshold=0.1), x), signals),
    "convolutional": (
        lambda x: convolutional_lista.apply(convolutional_lista.init(key, filters, steps=3, penalty=0.1), x),
        images,
    ),
    "unfolding": (lambda x: unfolding.apply(unfolding.init(key, (8, 8), unfoldings=2, **small), x), pictures),
}
for name, (function, x) in functions.items():
    def total(x):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(function(x)))
    plain = function(x)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(jax.jit(jax.vmap(function))(x))):
        assert jnp.abs(one - other).max() <= 2e-2 * jnp.abs(one).max(), name
    assert jnp.isfinite(jax.grad(total)(x)).all(), name
learners = {
    "filters": (convolutional.learner(0.5), filters), "layers": (multilayer.learner([0.1, 0.1]), layers)
}
for name, (learner, start) in learners.items():
    state = jax.vmap(lambda x: learner.step(learner.init(start), x)[0])(images)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state)), name
print("done")
"""


@pytest.mark.beyond
def test_pursuits_return_in_every_form():
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
