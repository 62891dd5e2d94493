"""Classifiers for fixed features, and how their errors are estimated.

- `affine`: the nearest affine space;
- `softmax`: softmax regression;
- `linear_probe`: softmax regression whose scaling of features and penalty are chosen by validation;
- `neighbors`: the nearest training examples;
- `validation`: error rates and cross-validation;
- `capacity`: random labels and images, a network that fits any points, Rademacher complexities;
- `margins`: margins, spectral norms and the margin bound of Bartlett, Foster and Telgarsky;
- `labeled`: the checks of examples and labels that these share.
"""
