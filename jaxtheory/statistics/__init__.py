"""Classifiers for fixed features, and how their errors are estimated.

- `affine`: the nearest affine space;
- `softmax`: softmax regression;
- `linear_probe`: softmax regression whose scaling of features and penalty are chosen by validation;
- `neighbors`: the nearest training examples;
- `validation`: error rates and cross-validation;
- `implicit_bias`: the separator of the largest margin, and how gradient descent comes to it;
- `pac_bayes`: certificates of the risk of networks with random weights;
- `labeled`: the checks of examples and labels that these share.
"""
