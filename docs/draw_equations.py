"""Draw the pictures of the first five chapters: `python docs/draw_equations.py`."""

import torch
from both_languages import save
from matplotlib.axes import Axes
from torch import Tensor

from sfumato.denoisers.mixture import GaussianMixture, gaussian_mixture
from sfumato.plots.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    new_figure,
    styled,
)
from sfumato.process import discrete, grids, kernels
from sfumato.process.gaussian import Gaussian, kl
from sfumato.process.streams import generator, noise_from
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import Stepper, trajectory

TABLE = discrete.linear(1000)
DATA = gaussian_mixture(
    torch.tensor([0.35, 0.65]),
    torch.tensor([[-1.6], [0.9]]),
    torch.tensor([[[0.04]], [[0.09]]]),
)
GRID = torch.linspace(-3.4, 3.4, 401, dtype=torch.float64)


def gaussians() -> None:
    """The reparameterised draw (1-7), and the divergence (1-6) from N(0, 1)."""
    figure = new_figure(9.6, 3.0)
    draws, divergence = figure.subplots(1, 2)
    eps = torch.special.ndtri((torch.arange(8, dtype=torch.float64) + 0.5) / 8)
    narrow, wide = (
        Gaussian(torch.tensor(m), torch.tensor(s)) for m, s in ((-1.0, 0.4), (1.2, 1.0))
    )
    for goal, colour, height in ((narrow, BLUE, 1.0), (wide, ORANGE, 2.0)):
        draws.plot(
            goal.draw(eps), torch.full((8,), height), "o", color=colour, markersize=5, zorder=3
        )
        curve = goal.log_density(GRID).exp() * 0.8 + height
        shown = curve > height + 0.002
        draws.fill_between(GRID[shown], height, curve[shown], color=colour, alpha=0.25, linewidth=0)
        for noise in eps:
            draws.plot(
                [noise, goal.draw(noise)], [0, height], color=colour, linewidth=0.8, alpha=0.6
            )
    draws.plot(eps, torch.zeros(8), "o", color=INK, markersize=5, zorder=3, clip_on=False)
    draws.set_yticks(
        [0, 1, 2],
        [r"$\varepsilon$", r"$\mu=-1$, $\sigma=0.4$", r"$\mu=1.2$, $\sigma=1$"],
    )
    draws.set_xlim(-3.2, 3.4)
    draws.set_ylim(0, 2.5)
    draws.set_title(r"$z=\mu+\sigma\varepsilon$")
    draws.set_xlabel("$z$")
    prior = Gaussian(torch.zeros(()), torch.ones(()))
    for std, colour in ((0.3, BLUE), (1.0, GREEN), (1.8, ORANGE)):
        away = kl(Gaussian(GRID, torch.tensor(std, dtype=torch.float64)), prior)
        divergence.plot(GRID, away, color=colour, linewidth=1.8, label=rf"$\sigma_1={std:g}$")
    divergence.set_ylim(0, 4)
    divergence.set_xlim(-2.6, 2.6)
    divergence.set_title(r"$\mathrm{KL}(N(\mu_1,\sigma_1^2)\parallel N(0,1))$, nats")
    divergence.set_xlabel(r"$\mu_1$")
    divergence.legend(frameon=False)
    save(figure, "equations-gaussians.png")


def losses() -> None:
    """What the bound and the simple loss weigh (L-3), and the least simple loss (L-4)."""
    figure = new_figure(9.6, 3.0)
    weights, least = figure.subplots(1, 2)
    t = torch.arange(2, 1001)
    beta, noise = TABLE.beta[1:], TABLE.levels.sigma[2:] ** 2
    factor = beta**2 / (2 * TABLE.beta_tilde[1:] * (1 - beta) * noise)
    weights.plot(t, factor / factor.mean(), color=ORANGE, linewidth=1.8, label="bound (L-3)")
    weights.axhline(1, color=BLUE, linewidth=1.8, label="simple loss (L-4)")
    weights.set_xscale("log")
    weights.set_yscale("log")
    weights.set_title(r"weight of an error of $\varepsilon$, mean 1")
    weights.set_xlabel("$t$")
    weights.legend(frameon=False)

    unit, half = (
        gaussian_mixture(torch.ones(1), torch.zeros(1, 1), torch.full((1, 1, 1), variance))
        for variance in (1.0, 0.25)
    )
    shown = range(1, 1001, 9)
    for data, colour, label in (
        (unit, BLUE, "$N(0, 1)$"),
        (half, GREEN, "$N(0, 0.5^2)$"),
        (DATA, ORANGE, "two Gaussians"),
    ):
        least.plot(
            shown, [least_loss(data, i) for i in shown], color=colour, linewidth=1.8, label=label
        )
    least.set_ylim(0, 1.02)
    least.set_title("least simple loss")
    least.set_xlabel("$t$")
    least.legend(frameon=False)
    save(figure, "equations-loss.png")


def least_loss(data: GaussianMixture, i: int) -> float:
    """The mean squared error of the best answer to what eps is, at level i of the table.

    eps has variance one, of which the answer -sigma score keeps sigma² E[score²].
    """
    level = TABLE.levels[i]
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = data.log_density(x[:, None], level).exp() * (x[1] - x[0])
    eps = (x - level.alpha * data(x[:, None], level).x_0[:, 0]) / level.sigma
    return 1 - float((weight * eps**2).sum())


def density(i: int) -> Tensor:
    """q(x_t) on the grid, at level i of the table."""
    return DATA.log_density(GRID[:, None], TABLE.levels[i]).exp()


def forward() -> None:
    """A mixture of two Gaussians dissolving into N(0, 1)."""
    figure = new_figure(9.6, 2.3)
    prior = Gaussian(torch.zeros(()), torch.ones(())).log_density(GRID).exp()
    panels = figure.subplots(1, 5, sharex=True, sharey=True)
    for axes, i in zip(panels, (0, 100, 250, 500, 1000), strict=True):
        axes.plot(GRID, prior, color=GREY, linewidth=1, linestyle=(0, (3, 2)))
        axes.fill_between(GRID, density(i), color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(GRID, density(i), color=BLUE, linewidth=1.6)
        axes.set_title(rf"$t={i}$,  $\alpha_t={float(TABLE.levels[i].alpha):.3f}$")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(r"$x_t$")
    panels[0].set_ylim(0, 0.92)
    save(figure, "equations-forward.png")


def posterior_panel(axes: Axes, i: int, x_t: float, x_0: float) -> None:
    """The two factors of level i's posterior and their product, each as a density of x_{t-1}."""
    levels = discrete.linear(20).levels
    t, s = levels[i], levels[i - 1]
    at, origin = (torch.tensor([[x]], dtype=torch.float64) for x in (x_t, x_0))
    kept = t.alpha / s.alpha
    from_x_t = Gaussian(at / kept, kernels.transition_variance(t, s).sqrt() / kept)
    from_x_0, product = kernels.noised(origin, s), kernels.posterior(at, origin, t, s)
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)[:, None]
    for factor, colour, label in (
        (from_x_t, ORANGE, r"$q(x_t|x_{t-1})$: what $x_t$ says"),
        (from_x_0, BLUE, r"$q(x_{t-1}|x_0)$: what $x_0$ says"),
    ):
        axes.plot(x, factor.log_density(x).exp(), color=colour, linewidth=1.6, label=label)
    y = product.log_density(x).exp()[:, 0]
    axes.fill_between(x[:, 0], y, color=GREEN, alpha=0.25, linewidth=0)
    label = r"their product: $N(\tilde\mu_t,\tilde\beta_t)$"
    axes.plot(x, y, color=GREEN, linewidth=2, label=label)
    axes.plot([x_0, x_t], [0, 0], "o", color=INK, markersize=4, clip_on=False, zorder=3)
    axes.set_xticks([x_0, x_t], [f"$x_0={x_0:g}$", f"$x_t={x_t:g}$"])
    axes.set_title(f"$t={i}$ of 20")
    axes.set_xlabel(r"$x_{t-1}$")
    axes.set_yticks([])
    axes.set_ylim(0)
    axes.set_xlim(-3, 3)
    axes.spines["left"].set_visible(False)


def posterior() -> None:
    """The posterior, late in the process and near the data."""
    figure = new_figure(9.6, 2.9)
    panels = figure.subplots(1, 2)
    posterior_panel(panels[0], 10, x_t=1.2, x_0=-1.0)
    posterior_panel(panels[1], 3, x_t=0.1, x_0=-1.0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    save(figure, "equations-posterior.png")


def paths() -> None:
    """Eight even quantiles of N(0, 1), led down by the reverse chain and by the flow."""
    figure = new_figure(9.6, 3.2)
    panels = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.08})
    levels = grids.trailing(TABLE, TABLE.num_levels)
    places = (torch.arange(8, dtype=torch.float64) + 0.5) / 8
    start = torch.special.ndtri(places)[:, None]
    seen = torch.stack([density(i) / density(i).max() for i in range(0, 1001, 5)], dim=1)
    methods: tuple[tuple[str, Stepper[None]], ...] = (
        ("reverse chain (2-7)", Ancestral()),
        ("probability flow (4-5)", DDIM()),
    )
    for axes, (title, stepper) in zip(panels, methods, strict=True):
        walk = trajectory(DATA, start, levels, stepper, noise=noise_from(generator(3)))
        x = torch.cat([frame.x_t for frame in walk], dim=1)
        axes.imshow(
            seen.numpy(), extent=(0, 1000, -3.4, 3.4), origin="lower", aspect="auto",
            cmap="Greys", vmin=0, vmax=2.5,
        )  # fmt: skip
        for row, place in zip(x, places.tolist(), strict=True):
            axes.plot(range(1000, -1, -1), row, color=PAPER, linewidth=2.2)
            axes.plot(range(1000, -1, -1), row, color=COLOURS(place), linewidth=1.1)
        axes.set_xlim(1000, 0)
        axes.set_xticks(range(0, 1001, 250))
        axes.set_title(title)
        axes.set_xlabel("$t$")
        axes.tick_params(color=FAINT)
    panels[0].set_ylabel("$x_t$")
    save(figure, "equations-paths.png")


def main() -> None:
    """Draw all five."""
    with styled():
        gaussians()
        forward()
        posterior()
        losses()
        paths()


if __name__ == "__main__":
    main()
