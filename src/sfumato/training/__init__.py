"""Training: what is minimised, at which noise, for how long, and how it survives being stopped."""
