"""Eight virtual devices for every test; fixtures for double precision and for reading our own errors."""

import itertools
import os

# Hundreds of small programs are compiled and called once: LLVM's effort on them would be most of the time.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
    ]
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Its threads spin while they wait: two test processes on two cores would hold each other up many times over.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis
import jax
import jaxtyping
import numpy as np
import pytest

# The first example of a property compiles its program; a deadline would time the compiler.
hypothesis.settings.register_profile("jaxtheory", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("jaxtheory")


CLEARED = 50
"""Tests after which a process lets go of what it has compiled."""
_ended = itertools.count(1)


def pytest_runtest_teardown():
    """Keeps the memory maps of compiled programs below the 65,530 that Linux grants to a process."""
    if next(_ended) % CLEARED == 0:
        jax.clear_caches()


@pytest.fixture
def x64():
    """Double precision for the length of one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def own_errors():
    """Signatures unchecked, so that a test reads the message that a user without beartype would get."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def rng():
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
