"""Eight virtual devices for every test; fixtures for double precision and for reading our own errors."""

import itertools
import os
import signal
import time
from pathlib import Path

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
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it runs in the background; there are tests of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import jax
import jaxtyping
import numpy as np
import pytest

# The first example of a property compiles its program; a deadline would time the compiler.
hypothesis.settings.register_profile("jaxtheory", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("jaxtheory")


MAPS = Path("/proc/self/maps")
MOST = 30_000
"""Memory maps beyond which a process lets go of what it has compiled: Linux grants it 65,530."""
_ended = itertools.count(1)


def pytest_collection_modifyitems(items):
    """Puts all forms of a row of the table of examples side by side, so that one process compiles it once."""
    first: dict[tuple, int] = {}

    def place(numbered):
        number, item = numbered
        row = item.callspec.params.get("row") if hasattr(item, "callspec") else None
        return number if row is None else first.setdefault((item.path, id(row)), number)

    items[:] = [item for _, item in sorted(enumerate(items), key=place)]


UNTIL = float(os.environ.get("TESTS_UNTIL", "inf"))
"""The second since 1970 after which no further test begins; CI sets it, as it is cut off in the end."""


def pytest_runtest_setup():
    """Leaves out, as skipped, what a slow machine does not come to."""
    if time.time() > UNTIL:
        pytest.skip("the time until which tests may begin, TESTS_UNTIL, is over")


def pytest_runtest_teardown():
    """Looks at the number of maps now and then; without room for another, a program would crash."""
    if next(_ended) % 10 == 0 and MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST:
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
