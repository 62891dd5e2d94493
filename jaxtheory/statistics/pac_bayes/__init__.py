r"""PAC-Bayes bounds for networks with random weights, by Dziugaite and Roy: certificates of their risk.

A network whose weights are drawn from a Gaussian $Q$ at each prediction has a risk $e(Q)$, the probability of
an error on a new example. With probability at least $1 - \delta$ over the $n$ training examples, and for all
$Q$ at once, $\mathrm{kl}(\hat e(Q) \| e(Q)) \le (\mathrm{KL}(Q \| P) + \ldots) / (n - 1)$, where $\hat e(Q)$
is the mean error on the training examples and $P$ a Gaussian about weights that do not depend on the data,
such as the random initial weights. So $Q$ may be optimized on the very data that certify it.

- `gaussians`: the posterior $Q$, draws from it, and its divergence from the prior $P$;
- `bounds`: the bound on the risk, and the bound as an objective of training;
- `certificates`: the risk of weights that are drawn, and the bound that holds with a stated probability.

Conventions: `posterior` is $Q$, with independent weights; `prior` are the weights at the center of $P$, a
pytree like its means; risks are from 0 to 1, divergences in nats.
"""

from jaxtheory.statistics.pac_bayes.bounds import divergence_bound, kl_inverse, objective
from jaxtheory.statistics.pac_bayes.certificates import Certificate, certify, sampled_risk
from jaxtheory.statistics.pac_bayes.gaussians import Posterior, divergence, draw, init

__all__ = [
    "Certificate",
    "Posterior",
    "certify",
    "divergence",
    "divergence_bound",
    "draw",
    "init",
    "kl_inverse",
    "objective",
    "sampled_risk",
]
