"""Classifiers for fixed features, and how their errors are estimated.

- `affine`: the nearest affine space;
- `softmax`: softmax regression;
- `linear_probe`: softmax regression whose scaling of features and penalty are chosen by validation;
- `neighbors`: the nearest training examples;
- `kernel_regression`: ridge regression, interpolation and local averages with kernels;
- `random_features`: random Fourier and ReLU features, and least squares on every number of them;
- `neural_kernel`: tangent kernels of networks at hand and of infinitely wide ones;
- `validation`: error rates and cross-validation;
- `labeled`: the checks of examples and labels that these share.
"""
