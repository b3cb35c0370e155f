"""
Train a finished run for more steps
===================================

``sfumato.resume`` goes on where a run ended. The weights, the state of the optimizer and the
average are kept; the learning rate rises to a part of its former height and falls again.
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

settings = {"training.steps": 150, "training.snapshots": 0, "training.log_every": 10}
run = sfumato.fit("s-curve", settings=settings, quiet=True)
fresh = run.real_sets(n=1000).reference.values[:300]
before = run.log_prob(fresh, steps=12).mean()

# %%
# The same folder holds the run before and after; its records are one series.

run = sfumato.resume(run.folder, settings={"training.steps": 700}, quiet=True)
after, truth = run.log_prob(fresh, steps=12).mean(), run.known_log_density()(fresh).mean()
for name, nats in {"after 150 steps": before, "after 700": after, "the truth": truth}.items():
    print(f"{name:16} mean log density of fresh points: {nats:.3f} nats")

step, loss, rate = np.array([[r["step"], r["loss"], r["learning_rate"]] for r in run.records()]).T
figure, axes = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, layout="constrained")
axes[0].semilogy(step, loss, color="#0072b2")
axes[0].set_ylabel("loss")
axes[0].set_yticks([0.05, 0.1, 0.2], ["0.05", "0.1", "0.2"])
axes[0].minorticks_off()
axes[1].plot(step, rate, color="#009e73")
axes[1].set(xlabel="step", ylabel="learning rate")
for axis in axes:
    axis.axvline(150, color="#d55e00", linestyle="--", label="resumed")
axes[0].legend()
