"""Networks of (x, number per sample) -> same shape as x; they know nothing of diffusion."""
