"""Attacks on models, certificates against them, and what units, codes and layers hold.

Everything takes plain functions of parameters and inputs, `logits(params, x)` or `features(params, x)`: a
Flax network through `networks.training.predictor`, an Equinox module, an unrolled solver, a function of one's
own.

- `adversarial`: small changes of inputs that change a model's answer, and accuracy under the worst of them;
- `certify`: bounds that no change of a given size can pass, by intervals and by smoothing;
- `activation`: the input that a unit, a channel or a class answers to most;
- `inversion`: an input from its code;
- `selectivity`: the tuning of filters and units: Gabor functions, orientation, frequency, phase and class;
- `transfer`: networks whose first layers are copied from another, frozen or tuned.
"""
