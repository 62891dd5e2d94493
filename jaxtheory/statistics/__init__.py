"""Why models that can fit anything generalize, classifiers of features, and how errors are estimated.

- `affine`: the nearest affine space;
- `softmax`: softmax regression;
- `linear_probe`: softmax regression whose scaling of features and penalty are chosen by validation;
- `neighbors`: the nearest training examples;
- `tangent_distance`: the nearest image up to small deformations;
- `least_squares`: the linear classifier of squared errors;
- `pairwise`: a linear unit for each pair of classes;
- `quadratic`: a linear classifier of products of principal components;
- `radial_basis`: Gaussian units about given centers;
- `boosting`: three networks, of which each filters the examples of the next;
- `kernel_regression`: ridge regression, interpolation and local averages with kernels;
- `random_features`: random Fourier and ReLU features, and least squares on every number of them;
- `neural_kernel`: tangent kernels of networks at hand and of infinitely wide ones;
- `validation`: error rates and cross-validation;
- `capacity`: random labels and images, a network that fits any points, Rademacher complexities;
- `margins`: margins, spectral norms and the margin bound of Bartlett, Foster and Telgarsky;
- `implicit_bias`: the separator of the largest margin, and how gradient descent comes to it;
- `pac_bayes`: certificates of the risk of networks with random weights;
- `labeled`: the checks of examples and labels that these share.
"""
