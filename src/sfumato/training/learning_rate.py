"""The learning rate as a function of the step alone, so that nothing of it needs saving."""

import math

from sfumato.config import TrainingSettings


def learning_rate(step: int, num_steps: int, settings: TrainingSettings) -> float:
    """The rate of step 0 ... num_steps - 1: linear warm-up, then constant or a cosine to zero."""
    warm = min(1.0, (step + 1) / (settings.warmup + 1))
    left = 1.0
    if settings.decay == "cosine":
        left = 0.5 * (1 + math.cos(math.pi * step / num_steps))
    return settings.learning_rate * warm * left
