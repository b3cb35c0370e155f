"""
Draw pictures of a class, with guidance
=======================================

Pictures are fitted as points and tables are. With classes learned, ``given`` names the class, and
guidance follows it more strongly. This fit is short, of a small transformer.
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

settings = {
    "data.labels": True,
    "network.name": "dit",
    "network.width": 96,
    "network.depth": 2,
    "network.options.patch": 4,
    "training.steps": 300,
    "training.batch_size": 48,
    "training.learning_rate": 3e-3,
    "training.average": 0.97,
    "training.snapshots": 0,
}
run = sfumato.fit("digits", settings=settings, quiet=True)

# %%
# Each row is a class of handwritten digits of 8 x 8 pixels. Left they are drawn as learned. With
# guidance they look more alike and more like their class.


def in_rows(guidance: float) -> np.ndarray:
    """Five pictures of each of five classes, with black between them."""
    rows = []
    for digit in (0, 2, 3, 4, 7):
        drawn = run.sample(5, given={"class": digit}, guidance=guidance, steps=15)
        rows.append(np.hstack(np.pad(drawn[..., 0], [(0, 0), (1, 1), (1, 1)])))
    return np.vstack(rows)


figure, axes = plt.subplots(1, 2, figsize=(7, 3.8), layout="constrained")
for axis, guidance in zip(axes, (1, 3), strict=True):
    axis.imshow(in_rows(guidance), cmap="gray")
    axis.set(title=f"guidance {guidance}", xticks=[], yticks=4.5 + 10 * np.arange(5))
    axis.set_yticklabels([0, 2, 3, 4, 7])
axes[0].set_ylabel("class")
