"""The diffusion process itself: levels, schedules, kernels, targets, grids, noise. No networks."""
