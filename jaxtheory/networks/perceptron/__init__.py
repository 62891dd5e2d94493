r"""Rosenblatt's perceptron: the rule and its bound, and whether a hyperplane separates two classes at all.

Conventions: examples are rows of `x` with `y` of -1 and 1, or 0 and 1; the classifier is the sign of
$w \cdot x + b$. The rule is run on vectors with the constant 1 appended, whose weight is the bias, and its
bound is that of these vectors. `Separation.margin` is the distance of the examples from the hyperplane that
linear programming finds; the largest margin there is, of planes through the origin, is that of
`jaxtheory.statistics.implicit_bias.max_margin`.
"""

from jaxtheory.networks.perceptron.rule import PerceptronResult, fit, mistake_bound
from jaxtheory.networks.perceptron.separation import Certificate, Separation, separate

__all__ = ["Certificate", "PerceptronResult", "Separation", "fit", "mistake_bound", "separate"]
