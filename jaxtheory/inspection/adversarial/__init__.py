r"""Attacks: small changes of examples after which a model's answer is another.

A model is a function `logits(params, x)` of examples `(n, ...)` that returns `(n, classes)`; examples and
labels have any leading axes, which are put together into one. An attack is one compiled program for each
such function: keep it for the next call, and map over `params` or `epsilon` for several models or sizes.

- `gradients`: steps along gradients in a ball, `fgsm`, `pgd` and `momentum`;
- `smallest`: changes as small as possible, `deepfool` and `carlini_wagner`;
- `queries`: attacks of models without gradients, `square` by logits and `boundary` by answers;
- `robustness`: accuracy under the worst of several attacks.

Values out of their range are errors where they are known; of traced ones the result's `valid` tells.

Example:
    >>> import jax, jax.numpy as jnp
    >>> from jaxtheory.inspection import adversarial
    >>> def logits(params, x):
    ...     return x @ params
    >>> params = jax.random.normal(jax.random.key(0), (4, 3))
    >>> x = jax.random.uniform(jax.random.key(1), (20, 4))
    >>> y = jnp.argmax(logits(params, x), axis=1)
    >>> attack = adversarial.pgd(logits, params, x, y, jax.random.key(2), epsilon=0.5, restarts=5)
    >>> bool(attack.success.any()), bool(attack.distance.max() <= 0.5)
    (True, True)
"""

from jaxtheory.inspection.adversarial.gradients import fgsm, momentum, pgd
from jaxtheory.inspection.adversarial.problems import AttackResult
from jaxtheory.inspection.adversarial.queries import boundary, square
from jaxtheory.inspection.adversarial.robustness import RobustAccuracy, robust_accuracy
from jaxtheory.inspection.adversarial.smallest import carlini_wagner, deepfool

__all__ = [
    "AttackResult",
    "RobustAccuracy",
    "boundary",
    "carlini_wagner",
    "deepfool",
    "fgsm",
    "momentum",
    "pgd",
    "robust_accuracy",
    "square",
]
