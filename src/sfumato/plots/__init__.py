"""Images: arrays and plain values in, figures and animations out. Knows no runs, no models."""

from sfumato.plots.style import check_figure_target, save_figure

__all__ = ["check_figure_target", "save_figure"]
