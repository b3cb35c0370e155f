"""Denoisers: (x_t, level) -> the expected clean sample; learned from data or exact."""
