"""Learners in a process with a user's flags: one device, ordinary optimization, as few threads as processors.

A loop that meets on all threads can hang there, and not among the eight virtual devices of other tests.
"""

import pytest

from tests.test_user_flags import as_a_user

PROGRAM = """
import jax, jax.numpy as jnp
from jaxtheory.sparse import kmeans, learning, patches
from jaxtheory.sparse.dictionary_learning import cauchy_codes, ksvd, online, sample_atoms, sparsenet

assert jax.device_count() == 1
signals = jax.random.laplace(jax.random.key(0), (2, 40, 6))
keys = jax.random.split(jax.random.key(1), 2)
learners = {"online": online(0.3), "ksvd": ksvd(2), "sparsenet": sparsenet(0.1), "lloyd": kmeans.lloyd()}

def learn(learner):
    def one(x, key):
        start = learner.init(sample_atoms(key, x, 8))
        return learning.run(learner, start, x, key, steps=2, batch=20)[0]
    return one

for name, learner in learners.items():
    for form in (jax.vmap(learn(learner)), jax.jit(jax.vmap(learn(learner)))):
        state = jax.block_until_ready(form(signals, keys))
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state)), name
atoms = sample_atoms(keys[0], signals[0], 8)
codes = jax.vmap(lambda x: cauchy_codes(atoms, x, 0.2).codes)(signals)
assert jnp.isfinite(jax.block_until_ready(codes)).all()
images = jax.random.normal(keys[0], (2, 6, 7, 1))
clean = jax.vmap(lambda image: patches.denoise(atoms, image, 0.5, (2, 3)))(images)
assert jnp.isfinite(jax.block_until_ready(clean)).all()
print("done", flush=True)
"""


@pytest.mark.beyond
def test_learners_return_when_they_are_mapped_over():
    as_a_user(PROGRAM, seconds=300)
