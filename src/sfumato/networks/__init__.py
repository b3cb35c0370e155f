"""Networks of (x, noise or time) -> same shape as x; they know nothing of diffusion."""
