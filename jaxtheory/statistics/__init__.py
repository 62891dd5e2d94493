"""Classifiers for fixed features, and how their errors are estimated.

- `affine`: the nearest affine space;
- `softmax`: softmax regression;
- `linear_probe`: softmax regression whose scaling of features and penalty are chosen by validation;
- `neighbors`: the nearest training examples;
- `kernel_regression`: ridge regression, interpolation and local averages with kernels;
- `validation`: error rates and cross-validation;
- `labeled`: the checks of examples and labels that these share.
"""
