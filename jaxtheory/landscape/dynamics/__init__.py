r"""Loss, sharpness and gradient noise along a training run.

The sharpness is the largest eigenvalue of the loss's Hessian. The gradient noise scale is
$\mathrm{tr}\,\Sigma / |G|^2$, with the covariance $\Sigma$ of the gradient of one example and the gradient
$G$ of the risk: batches well below it average noise away, larger ones add little.

- `eigenvalue`: the sharpness, from the eigenvector that was found last;
- `noise`: noise and signal of the gradient, and the noise scale;
- `recording`: `probe`, a pair of pure functions for compiled training loops, and `Recorder`, a callback for
  any other loop.

Conventions: `loss(params, batch) -> scalar` is the mean over a batch. `batches` is a pytree of arrays with
two leading axes, (batches, examples).

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.landscape import dynamics
    >>> def loss(params, batch):
    ...     x, y = batch
    ...     return jnp.mean((jnp.tanh(x @ params) - y) ** 2)
    >>> x = jax.random.normal(jax.random.key(0), (8, 16, 12))
    >>> batches = (x, jnp.sin(x[..., 0]))
    >>> recorder = dynamics.Recorder(loss, batches, jax.random.key(1), every=10)
    >>> params = jnp.zeros(12)
    >>> for _ in range(30):
    ...     params = params - 0.1 * jax.grad(loss)(params, (x[0], batches[1][0]))
    ...     _ = recorder(params)
    >>> recorder.history["step"].tolist(), recorder.history["sharpness"].shape
    ([10, 20, 30], (3,))
"""

from jaxtheory.landscape.dynamics.eigenvalue import SharpnessResult, sharpness
from jaxtheory.landscape.dynamics.noise import (
    GradientNoise,
    NoiseScaleResult,
    gradient_noise,
    noise_of_norms,
    noise_scale,
)
from jaxtheory.landscape.dynamics.recording import Measurement, Probe, ProbeState, Recorder, probe

__all__ = [
    "GradientNoise",
    "Measurement",
    "NoiseScaleResult",
    "Probe",
    "ProbeState",
    "Recorder",
    "SharpnessResult",
    "gradient_noise",
    "noise_of_norms",
    "noise_scale",
    "probe",
    "sharpness",
]
