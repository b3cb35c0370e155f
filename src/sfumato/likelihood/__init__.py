"""Likelihoods of a denoiser's model: the variational bound, and the density along the flow."""
