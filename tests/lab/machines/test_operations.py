"""Operations of programs against closed forms, and against the compiler's own count where nothing loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas as pl

from jaxtheory.lab.machines import operations

M, K = 32, 48
PRODUCT = 2 * M * K * K
"""The operations of (M, K) times (K, K)."""
X, W = jax.ShapeDtypeStruct((M, K), np.float32), jax.ShapeDtypeStruct((K, K), np.float32)


def flops(function, *shapes):
    count = operations.count(function, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    assert count.unknown_loops == 0
    return count.flops


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


@pytest.mark.parametrize("rounds", [1, 7, 100])
def test_a_scan_costs_its_rounds(rounds):
    scanned = operations.count(lambda x, w: lax.scan(lambda x, _: (x @ w, None), x, length=rounds)[0], X, W)
    assert scanned == (rounds * PRODUCT, 0)


def test_the_compilers_own_figure_is_of_one_round():
    """The reason for all of this."""
    assert compiled(lambda x, w: lax.scan(lambda x, _: (x @ w, None), x, length=100)[0], X, W) < 2 * PRODUCT


def test_loops_within_loops_multiply():
    def inner(x, w):
        return lax.fori_loop(0, 5, lambda _, x: x @ w, x)

    nested = operations.count(lambda x, w: lax.fori_loop(0, 11, lambda _, x: inner(x, w), x), X, W)
    assert nested == (55 * PRODUCT, 0)
    rows = operations.count(lambda x: lax.map(lambda row: jnp.sin(row) * 2, x), X)
    assert rows == (2 * M * K, 0)


def test_a_loop_without_a_known_length_is_counted_once_and_told():
    count = operations.count(
        lambda x, w: lax.while_loop(lambda x: jnp.sum(x) < 1e9, lambda x: x @ w, x), X, W
    )
    assert count.unknown_loops == 1
    assert count.flops == PRODUCT + M * K + 1  # with the sum and the comparison of the condition


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        # A contraction over two axes, and a batch of products.
        (lambda x, w: jnp.einsum("abi,abj->ij", x, w), ((3, 4, 5), (3, 4, 6)), 2 * 3 * 4 * 5 * 6),
        (lambda x, w: jnp.einsum("bij,bjk->bik", x, w), ((3, 4, 5), (3, 5, 6)), 2 * 3 * 4 * 5 * 6),
        # 10 positions of a filter of length 3 from 4 to 8 channels; nothing is padded.
        (
            lambda x, w: lax.conv_general_dilated(
                x, w, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
            ),
            ((2, 12, 4), (3, 4, 8)),
            2 * 2 * 10 * 8 * 3 * 4,
        ),
        (lambda x: x.sum(0), ((16, 8),), 16 * 8),
    ],
)
def test_contractions_and_sums_agree_with_the_compiler(function, shapes, expected):
    assert flops(function, *shapes) == expected
    arguments = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
    assert compiled(function, *arguments) == pytest.approx(expected, rel=0.15)


def test_a_dense_layer_and_its_gradient_agree_with_the_compiler():
    def loss(x, w):
        return jnp.sum(jax.nn.relu(x @ w) ** 2)

    for function in (loss, jax.grad(loss)):
        assert operations.count(function, X, W).flops == pytest.approx(compiled(function, X, W), rel=0.05)


def test_fourier_transforms_by_the_usual_formula():
    assert flops(jnp.fft.fft, (7, 64)) == 7 * 5 * 64 * 6
    assert flops(jnp.fft.fft2, (3, 16, 32)) == 3 * 5 * 512 * 9
    assert flops(jnp.fft.rfft, (7, 64)) == 7 * 5 * 64 * 6
    assert flops(lambda x: jnp.fft.irfft(x.astype(np.complex64)), (7, 33)) == 7 * 5 * 64 * 6


def test_what_moves_or_counts_is_free():
    assert flops(lambda x: x.T.reshape(-1)[3:].astype(np.float16), (8, 16)) == 0
    assert operations.count(lambda i: i + 1, jax.ShapeDtypeStruct((9,), np.int32)) == (0, 0)
    assert operations.count(lambda: jnp.zeros(3)) == (0, 0)


def test_the_dearest_branch_counts_and_a_rule_for_derivatives_does_not():
    assert operations.count(lambda x, w: lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x), X, W).flops == (
        pytest.approx(PRODUCT, abs=2)
    )

    @jax.custom_jvp
    def product(x, w):
        return x @ w

    product.defjvp(lambda primals, tangents: (product(*primals), tangents[0] @ primals[1]))
    assert operations.count(product, X, W).flops == PRODUCT
    assert operations.count(jax.checkpoint(jnp.matmul), X, W).flops == PRODUCT


def test_a_kernel_costs_what_its_author_declares_in_each_round():
    def kernel(x):
        return pl.pallas_call(
            lambda *_: None,
            out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype),
            cost_estimate=pl.CostEstimate(flops=1000, bytes_accessed=8192, transcendentals=0),
        )(x)

    assert operations.count(lambda x: lax.fori_loop(0, 12, lambda _, x: kernel(x), x), X) == (12_000, 0)
