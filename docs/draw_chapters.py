"""Draw the pictures of the chapters on schedules, likelihood, guidance and rows of tables.

`python docs/draw_chapters.py`.
"""

import math

import numpy as np
import torch
from both_languages import save
from matplotlib.axes import Axes
from torch import Tensor

from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.table import Column
from sfumato.denoisers.guidance import Guided
from sfumato.denoisers.mixture import gaussian_mixture
from sfumato.likelihood.flow import log_prob
from sfumato.plots.style import BLUE, GREEN, GREY, INK, ORANGE, new_figure, styled
from sfumato.process import discrete
from sfumato.process.gaussian import Gaussian
from sfumato.process.grids import uniform_log_snr
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import EDM, VE, Cosine, Linear, RectifiedFlow, Sigmoid
from sfumato.process.streams import generator, noise_from
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.driver import last_frame, trajectory
from sfumato.samplers.inpainting import Inpainting
from sfumato.samplers.unipc import UniPC

CLEAN = NoiseLevel.clean()
DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.5))


def normal(mean: float, std: float, x: Tensor) -> Tensor:
    """The density of N(mean, std²) at x."""
    gaussian = Gaussian(torch.tensor(mean).double(), torch.tensor(std).double())
    return gaussian.log_density(x).exp()


def without_heights(axes: Axes) -> None:
    """Densities: their shape counts."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(0)


def schedules() -> None:
    """Log-SNR over time of six schedules."""
    figure = new_figure(7.2, 3.4)
    axes = figure.subplots()
    t = torch.linspace(0, 1, 401)
    for label, schedule, colour, line in (
        ("cosine", Cosine(), BLUE, "-"),
        ("sigmoid", Sigmoid(), BLUE, DASHED),
        ("rectified flow", RectifiedFlow(), BLUE, DOTTED),
        ("linear", Linear(), ORANGE, "-"),
        ("VE", VE(), GREEN, "-"),
        ("EDM", EDM(), GREEN, DASHED),
    ):
        axes.plot(t, schedule(t).log_snr, color=colour, linestyle=line, linewidth=1.7, label=label)
    axes.axhline(0, color=GREY, linewidth=0.7)
    axes.set_xlim(0, 1)
    axes.set_xlabel("time $t$")
    axes.set_ylabel(r"log-SNR $\lambda$")
    figure.legend(loc="outside right center")
    save(figure, "chapter-schedules.png")


def wrong_start() -> None:
    """Samples of N(1, 0.25) by a schedule that ends at alpha_bar 0.778, (S-10) and (S-11)."""
    figure = new_figure(7.2, 2.7)
    axes = figure.subplots()
    end = discrete.sigmoid(100).levels[-1]
    alpha, sigma = float(end.alpha), float(end.sigma)
    v = alpha**2 * 0.25 + sigma**2
    chain = math.sqrt(0.25 * sigma**2 / v + (alpha * 0.25 / v) ** 2)
    x = torch.linspace(-2, 3, 501, dtype=torch.float64)
    for label, mean, std, colour, line in (
        ("the data, N(1, 0.25)", 1.0, 0.5, INK, "-"),
        ("reverse chain", 1 - alpha**2 * 0.25 / v, chain, BLUE, DASHED),
        ("probability flow", 1 - alpha * 0.5 / math.sqrt(v), 0.5 / math.sqrt(v), ORANGE, DOTTED),
    ):
        label = f"{label}: mean {mean:.2f}, std {std:.2f}"
        axes.plot(x, normal(mean, std, x), color=colour, linestyle=line, linewidth=2, label=label)
        axes.plot([mean], [0], "o", color=colour, markersize=5, clip_on=False, zorder=3)
    without_heights(axes)
    axes.set_xlabel("$x_0$")
    figure.legend(loc="outside right center")
    save(figure, "chapter-schedules-end.png")


def likelihood() -> None:
    """The flow's density on the true one; integers dequantised and not."""
    figure = new_figure(9.6, 2.9)
    left, right = figure.subplots(1, 2)
    mixture = gaussian_mixture(
        torch.tensor([0.35, 0.65]),
        torch.tensor([[-1.6], [0.9]]),
        torch.tensor([[[0.04]], [[0.09]]]),
    )
    x = torch.linspace(-3, 2.5, 401, dtype=torch.float64)[:, None]
    some = torch.linspace(-2.8, 2.3, 30, dtype=torch.float64)[:, None]
    found = log_prob(mixture, some, uniform_log_snr(Cosine(), 40)).nats
    left.plot(x, mixture.log_density(x, CLEAN), color=GREY, linewidth=2, label="closed form")
    left.plot(some, found, "o", color=BLUE, markersize=4, label="probability flow, 40 steps")
    left.set_xlabel("$x_0$")
    left.set_ylabel("log density, nats")
    left.legend(loc="lower left")
    values = torch.arange(4.0)
    at = torch.linspace(-0.75, 3.75, 1801, dtype=torch.float64)[:, None]
    for width, colour, line in ((0.02, ORANGE, "-"), (0.1, ORANGE, DASHED)):
        spikes = gaussian_mixture(torch.ones(4), values[:, None], torch.full((4, 1, 1), width**2))
        label = f"spikes of width {width}"
        y = spikes.log_density(at, CLEAN).exp()
        right.plot(at, y, color=colour, linestyle=line, linewidth=1.2, label=label)
    right.stairs([0.25], [-0.5, 3.5], color=BLUE, linewidth=2, label="dequantised: 1/4")
    right.set_ylim(0, 5.6)
    right.set_xlabel("value, one of 0, 1, 2, 3")
    right.set_ylabel("density")
    right.legend(loc="upper center", ncols=3, fontsize=8, columnspacing=1, handlelength=1.6)
    save(figure, "chapter-likelihood.png")


def bound() -> None:
    """The terms of the bound for N(0, 1) data, (K-7) and (K-8): nats per level."""
    figure = new_figure(7.2, 2.8)
    axes = figure.subplots()
    variance = discrete.linear(1000).levels.sigma ** 2
    ratio = variance[2:] / variance[1:-1]
    t = torch.arange(2, 1001)
    axes.plot(t, (ratio - 1) / 2, color=ORANGE, linewidth=2, linestyle=DASHED,
              label=r"reverse variance $\tilde\beta_t$")  # fmt: skip
    axes.plot(t, ratio.log() / 2, color=BLUE, linewidth=2, label=r"reverse variance $\beta_t$")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(2, 1000)
    axes.set_xlabel("level $t$")
    axes.set_ylabel(r"$L_{t-1}$, nats")
    axes.legend()
    save(figure, "chapter-likelihood-bound.png")


def guidance() -> None:
    """What scale 1, 2, 4 gives of a class, beside the law that it is said to give."""
    figure = new_figure(9.6, 2.7)
    both = gaussian_mixture(
        torch.ones(2), torch.tensor([[-1.0], [1.0]]), torch.full((2, 1, 1), 0.25)
    )
    one = gaussian_mixture(torch.ones(1), torch.ones(1, 1), torch.full((1, 1, 1), 0.25))
    places = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    start, levels = torch.special.ndtri(places)[:, None], uniform_log_snr(Cosine(), 60)
    x = torch.linspace(-1.2, 3.4, 461, dtype=torch.float64)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, scale in zip(panels, (1.0, 2.0, 4.0), strict=True):
        walk = trajectory(
            Guided(one, both, scale), start, levels, UniPC(), noise=noise_from(generator(0))
        )
        ends = last_frame(walk).x_t[:, 0]
        # The flow keeps the order: the slope between quantiles is the density.
        middle, density = (ends[1:] + ends[:-1]) / 2, (places[1] - places[0]) / ends.diff()
        column = x[:, None]
        tilted = scale * one.log_density(column, CLEAN) + (1 - scale) * both.log_density(
            column, CLEAN
        )
        tilted = tilted.softmax(0) / (x[1] - x[0])
        axes.fill_between(middle, density, color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(middle, density, color=BLUE, linewidth=1.8, label="guided samples")
        axes.plot(x, tilted, color=ORANGE, linewidth=1.8, linestyle=DASHED,
                  label=r"$\propto p(x|c)^w\,p(x)^{1-w}$")  # fmt: skip
        axes.plot(x, normal(1.0, 0.5 / math.sqrt(scale), x), color=GREY, linewidth=1.6,
                  linestyle=DOTTED, label=r"$\propto p(x|c)^w$")  # fmt: skip
        axes.set_title(f"$w = {scale:.0f}$")
        axes.set_xlabel("$x_0$")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    panels[0].set_xlim(-1.2, 3.4)
    panels[0].set_ylim(0, 1.75)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    save(figure, "chapter-guidance.png")


def inpainting() -> None:
    """The second of two correlated coordinates, the first known: replaced, resampled, exact."""
    figure = new_figure(7.2, 2.8)
    axes = figure.subplots()
    rho, n = 0.9, 4096
    pair = gaussian_mixture(
        torch.ones(1), torch.zeros(1, 2), torch.tensor([[[1.0, rho], [rho, 1.0]]])
    )
    held = torch.tensor([1.5, 0.0], dtype=torch.float64).expand(n, 2)
    known = torch.tensor([True, False]).expand(n, 2)
    levels, start = uniform_log_snr(Cosine(), 50), noise_from(generator(0))(held)
    x = torch.linspace(-2.5, 3.5, 601, dtype=torch.float64)
    axes.plot(
        x, normal(0, 1, x), color=GREY, linewidth=1.4, linestyle=DOTTED, label="nothing known"
    )
    for times, colour, line, label in (
        (1, ORANGE, DASHED, "replacement"),
        (5, BLUE, (0, (6, 1.5)), "resampling, 5 times"),
    ):
        method = Inpainting(Ancestral(), held, known, times)
        walk = trajectory(pair, start, levels, method, noise=noise_from(generator(1)))
        found = last_frame(walk).x_t[:, 1]
        # Everything is linear in Gaussian draws, so that two moments are the whole law.
        y = normal(float(found.mean()), float(found.std()), x)
        axes.plot(x, y, color=colour, linestyle=line, linewidth=2, label=label)
    exact = normal(1.5 * rho, math.sqrt(1 - rho**2), x)
    axes.plot(x, exact, color=INK, linewidth=2, label="exact: N(1.35, 0.19)")
    axes.set_xlabel("$x_2$ given $x_1 = 1.5$")
    without_heights(axes)
    figure.legend(loc="outside right center")
    save(figure, "chapter-inpainting.png")


def rows() -> None:
    """The map of a column in which list prices recur, and how often each is drawn."""
    rng = np.random.default_rng(0)
    listed = 5.99 + 2 * np.arange(12)
    free = np.where(rng.random(2000) < 0.7, rng.uniform(5, 30, 2000), rng.uniform(60, 90, 2000))
    amount = np.where(rng.random(2000) < 0.5, rng.choice(listed, 2000), free).round(2)
    column = Column("amount", amount, np.zeros(2000, bool))
    codec = NumericCodec.fit(column, "continuous", point_masses=False)
    z = np.sort(rng.standard_normal(100_000))
    drawn = codec.decode(z, np.zeros(len(z), int), len(z)).values
    figure = new_figure(9.6, 3.0)
    across, often = figure.subplots(1, 2)
    shown = np.abs(z) < 2.6
    across.plot(drawn[shown], z[shown], color=BLUE, linewidth=1.4)
    across.axvspan(30, 60, color=GREY, alpha=0.15, linewidth=0)
    across.text(45, -2.3, "none here", ha="center", color=GREY)
    across.set_title("the map: recurring values are steps")
    across.set_xlabel("amount")
    across.set_ylabel("$z$")
    for values, colour, label, shift in (
        (amount, GREY, "in the file", -0.35),
        (drawn, ORANGE, "drawn", 0.35),
    ):
        share = [(values == value).mean() for value in listed.round(2)]
        often.bar(listed + shift, share, width=0.7, color=colour, label=label)
    often.set_title("share of each list price")
    often.set_xlabel("amount")
    often.set_ylim(0, 0.062)
    often.legend(frameon=False, ncols=2, loc="upper center")
    save(figure, "chapter-rows.png")


def main() -> None:
    """Draw them all."""
    with styled():
        schedules()
        wrong_start()
        likelihood()
        bound()
        guidance()
        inpainting()
        rows()


if __name__ == "__main__":
    main()
