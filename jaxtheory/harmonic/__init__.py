"""Harmonic analysis: wavelets, scattering transforms, deformations, Gabor functions.

- `wavelets`: the filters;
- `scattering2d`: banks of filters, and the scattering transform of images;
- `scattering1d`: the same for signals, and for recordings of any length;
- `rototranslation`: scattering of images on the group of rotations and translations;
- `scattering_transformer`: the transform as a step of a scikit-learn pipeline;
- `deformation`: warps, rotations and dilations of images, and how large they are;
- `surrogates`: random copies of images with the same spectrum and histogram;
- `chunks`: programs on some signals or images at a time;
- `magnitudes`: moduli that neither overflow nor vanish;
- `interpolation`: the splines by which images are warped;
- `gabor_fit`: Gabor functions fitted to images.
"""
