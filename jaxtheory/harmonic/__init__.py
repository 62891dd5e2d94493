"""Harmonic analysis: wavelets, scattering transforms, deformations, Gabor functions.

- `wavelets`: the filters;
- `scattering2d`: banks of filters, and the scattering transform of images;
- `scattering1d`: the same for signals, and for recordings of any length;
- `scattering3d`: solid harmonic wavelets, and the scattering transform of densities;
- `spectra`: scattering spectra of stationary signals and images, correlations of responses and their moduli;
- `reconstruction`: signals and images from their coefficients, by descent;
- `rototranslation`: scattering of images on the group of rotations and translations;
- `scattering_transformer`: the transform as a step of a scikit-learn pipeline;
- `deformation`: warps of signals and images, and how large they are; densities and molecules, moved;
- `surrogates`: random copies of images with the same spectrum and histogram;
- `chunks`: programs on some signals or images at a time;
- `magnitudes`: moduli that neither overflow nor vanish;
- `interpolation`: the splines and waves by which they are moved;
- `gabor_fit`: Gabor functions fitted to images.
"""
