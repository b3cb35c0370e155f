"""Adult, Default and Shoppers by the field's measures, beside other libraries and published figures."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.environments import drawn_by
from bench.isolated import PEERS
from bench.measure import Page, table
from bench.standard_sets import NAMES, PUBLISHED, PUBLISHED_SETS, StandardSet, standard_set
from sfumato.data.io.frames import from_frame
from sfumato.data.table import ColumnType
from sfumato.metrics.alpha_precision import alpha_precision_beta_recall
from sfumato.metrics.coded import Coded, coded
from sfumato.metrics.detection import detection
from sfumato.metrics.marginals import shapes
from sfumato.metrics.support import support_measures
from sfumato.metrics.trend import trends

# Processor time after which a library is stopped, and the rows that distances are taken between.
_MINUTES, _NEIGHBOURS = 12, 5_000

_HEADING = (
    "", "learned from", "s", "s by our trees", "Shape", "Trend", "efficacy", "alpha-precision",
    "beta-recall", "rows in gaps", "rows with a value of no real row", "fit, s", "draw, s",
)  # fmt: skip
_FIGURES = ("s", "ours", "shape", "trend", "efficacy", "alpha", "beta", "gaps", "unseen")


def measure() -> Page:
    """Every library on every set; what is drawn is kept, see `bench.environments`."""
    sections = []
    for name in NAMES:
        whole = standard_set(name)
        rows = [_real(whole)]
        failed = []
        for peer in PEERS:
            if peer.sets is not None and name not in peer.sets:
                failed.append(f"{peer.name}: measured on {', '.join(peer.sets)} alone; it is slow.")
                continue
            drawn = drawn_by(peer, name, whole.learn, whole.categories, _MINUTES)
            learned = min(len(whole.learn), peer.rows or len(whole.learn))
            if drawn.rows is None:
                failed.append(f"{peer.name}, {learned:,} rows: {drawn.error}.")
                continue
            seconds = [f"{each:.0f}" if each >= 10 else f"{each:.1f}" for each in drawn.seconds]
            found = _measured(whole, drawn.rows)
            rows.append([peer.name, f"{learned:,}", *_cells(found), *seconds])
            print(name, rows[-1], file=sys.stderr, flush=True)
        rows += [_published(method, PUBLISHED_SETS.index(name)) for method in PUBLISHED]
        kinds = f"{len(whole.learn.columns) - len(whole.categories)} numeric columns"
        about = (
            f"{len(whole.learn):,} rows to learn from, {len(whole.held):,} held out, {kinds} and "
            f"{len(whole.categories)} of categories; efficacy predicts `{whole.target}`."
        )
        without = "\n".join(f"- {each}" for each in failed)
        without = f"\n\nWithout a figure:\n{without}" if failed else ""
        sections.append(f"## {name}\n\n{about}\n\n{table(_HEADING, rows)}{without}")
    recipes = table(["", "how it is used"], [[peer.name, peer.recipe] for peer in PEERS])
    return Page("Tables", [_METHOD, *sections, f"## Who is who\n\n{recipes}"])


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Rows in three forms: as a frame, coded, and as the numbers that XGBoost takes."""

    frame: pd.DataFrame
    coded: Coded
    numbers: np.ndarray


def _coded(whole: StandardSet, frames: Sequence[pd.DataFrame]) -> list[_Drawn]:
    """Frames of the same columns; categories are numbered in the order of their text."""
    kinds: dict[str, ColumnType] = {
        name: "categorical" if name in whole.categories else "continuous" for name in whole.learn
    }
    frames = [
        frame.astype({n: str if n in whole.categories else float for n in whole.learn})
        for frame in frames
    ]
    together = pd.concat(frames, ignore_index=True)
    for name in whole.categories:
        together[name] = pd.factorize(together[name], sort=True)[0]
    parts = np.split(
        together.to_numpy(np.float32), np.cumsum([len(frame) for frame in frames])[:-1]
    )
    tables = coded([from_frame(frame) for frame in frames], kinds)
    return [_Drawn(*each) for each in zip(frames, tables, parts, strict=True)]


def _measured(whole: StandardSet, drawn: pd.DataFrame) -> dict[str, float]:
    """All figures of drawn rows, against as many rows to learn from."""
    real, own, held, learn = _coded(
        whole, [whole.learn.iloc[: len(drawn)], drawn[list(whole.learn)], whole.held, whole.learn]
    )
    few = slice(min(len(drawn), _NEIGHBOURS))
    alpha, beta = alpha_precision_beta_recall(real.coded[few], own.coded[few])
    support = {each.name: each for each in support_measures(own.coded, held.coded, learn.coded)}
    return {
        "s": _detection(real.numbers, own.numbers),
        "ours": min(1.0, detection(real.coded.features, own.coded.features)),
        "shape": float(shapes(real.coded, own.coded).mean()),
        "trend": float(trends(real.coded, own.coded).mean()),
        "efficacy": _efficacy(whole, own.numbers, held.numbers),
        "alpha": alpha,
        "beta": beta,
        "gaps": support["gaps"].value,
        "unseen": support["unseen_values"].value,
    }


def _detection(real: np.ndarray, drawn: np.ndarray) -> float:
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from xgboost import XGBClassifier

    x, y = np.concatenate([real, drawn]), np.repeat([1, 0], [len(real), len(drawn)])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    auc = cross_val_score(XGBClassifier(n_jobs=1), x, y, scoring="roc_auc", cv=folds).mean()
    return float(2 - 2 * max(auc, 0.5))


def _efficacy(whole: StandardSet, drawn: np.ndarray, held: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score
    from xgboost import XGBClassifier

    place = list(whole.learn).index(whole.target)
    (x, y), (x_held, y_held) = (
        (np.delete(rows, place, axis=1), rows[:, place]) for rows in (drawn, held)
    )
    if len(np.unique(y)) < 2:
        return 0.5
    chance = XGBClassifier(n_jobs=1).fit(x, y).predict_proba(x_held)[:, 1]
    return float(roc_auc_score(y_held, chance))


# ------------------------------------------------------------------------------------- the page


def _cells(found: dict[str, float]) -> list[str]:
    shares = ("gaps", "unseen")
    return [f"{found[f]:.2%}" if f in shares else f"{found[f]:.3f}" for f in _FIGURES]


def _real(whole: StandardSet) -> list[str]:
    """The floor: held-out rows in the place of drawn ones, and real rows to learn from."""
    found = _measured(whole, whole.held)
    learn, held = _coded(whole, [whole.learn, whole.held])
    found["efficacy"] = _efficacy(whole, learn.numbers, held.numbers)
    return [f"*held-out rows ({len(whole.held):,})*", "", *_cells(found), "", ""]


def _published(method: str, place: int) -> list[str]:
    known = {name: values[place] for name, values in PUBLISHED[method].items()}
    cells = [f"{known[name]:.3f}" if name in known else "" for name in _FIGURES]
    return [f"{method} *(published)*", "all", *cells, f"{known['fit']:.0f} (GPU)", ""]


_METHOD = f"""\
Nine tenths of each set are learned, in the order of one random permutation; as many rows are drawn.
One seed. Each library has an environment of its own and runs with one thread; it is stopped after
{_MINUTES} minutes of processor time, and those that need more learn from fewer rows, as the table
says. What they draw is measured against the rows to learn from:

- **s**, 1 is best: XGBoost with its defaults learns to tell drawn rows from real ones, three
  stratified folds; s = 2 − 2 max(AUC, ½) with the mean area under its curve. `s by our trees` is the
  same by scikit-learn's trees, as `sfumato evaluate` has it (`metrics/detection.py`).
- **Shape**, **Trend**, 1 is best: Column Shapes and Column Pair Trends of SDMetrics 0.32. *Independent
  columns* have nearly perfect Shape: it proves nothing about rows. That version bins a numeric column
  by each table's own range, so that on Default real rows reach 0.875 in Trend; published figures of
  Trend are higher than real rows reach here, and cannot be compared with ours there.
- **efficacy**, 1 is best: the AUC of XGBoost with its defaults that learns from drawn rows and
  predicts held-out ones. The published figures are of tuned trees.
- **alpha-precision**, **beta-recall**, 1 is best; two real sets reach about ½ in the second: as
  synthcity computes them, between {_NEIGHBOURS:,} rows of each at most.
- **rows in gaps**, **rows with a value of no real row**, 0 is best: see `metrics/support.py`.
- **seconds** of processor time, of one thread on a machine that others used.

Fewer drawn rows are harder to tell apart: s of the libraries that draw fewer flatters them.
What was drawn is kept from one go to the next, so that the time below is that of the last go.
*Held-out rows* stand in the place of drawn ones in the first line: no method can do better, but for
chance. *Published* figures are those of arXiv 2603.23016, fitted on a GPU, means of five fits; they
were not measured here."""
