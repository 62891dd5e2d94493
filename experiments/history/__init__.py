"""The lecture's history: from the perceptron to residual networks."""
