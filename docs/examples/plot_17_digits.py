"""
Draw pictures of a class, with guidance
=======================================

Pictures are fitted as points and tables are. With classes learned, ``given`` names the class, and
guidance follows it more strongly. This fit is short; a usual one takes ten times as many steps.
"""

import matplotlib.pyplot as plt

import sfumato

settings = {
    "data.labels": True,
    "network.width": 16,
    "training.steps": 120,
    "training.batch_size": 32,
    "training.learning_rate": 3e-3,
    "training.warmup": 20,
    "training.average": 0.95,
    "training.snapshots": 0,
}
run = sfumato.fit("digits", settings=settings, quiet=True)

# %%
# Each row is one class of handwritten digits, 8 x 8 pixels.

figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for axis, guidance in zip(axes, (1, 3), strict=True):
    rows = [
        run.sample(10, given={"class": digit}, guidance=guidance, steps=12)[..., 0]
        for digit in (0, 3, 4, 7)
    ]
    axis.imshow([pixels for row in rows for pixels in zip_rows(row)], cmap="gray")
    axis.set(title=f"guidance {guidance}", xticks=[])
