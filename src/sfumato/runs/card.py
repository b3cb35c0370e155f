"""The model card of a run folder: what it is, what it learned from, how well, and its limits.

Its form is that of the Hugging Face hub's README.md (Mitchell et al. 2019, Model Cards for Model
Reporting). It is the user's to edit: a report replaces nothing but what stands between its marks.
"""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from sfumato import atomic
from sfumato.data.source import IN_MEMORY
from sfumato.metrics.evaluation import Evaluation
from sfumato.runs.folder import CARD
from sfumato.runs.run import Run
from sfumato.versions import installed

_BEGINS, _ENDS = "<!-- measured -->", "<!-- end of measured -->"
_TAGS = {"points": "points", "table": "tabular", "images": "images"}

_LIMITS = """\
- It knows what its training rows show, no more: groups that are rare there are poorly learned, and
  what is wrong or unfair in them is drawn again.
- Drawn {unit} are not anonymous by themselves: they may come close to training {unit}. The measures
  of memorisation above, where there are any, say how close.
- Measures hold for the data named here; for others, measure again:
  `sfumato evaluate {folder} --against FILE`."""


def write_card(run: Run) -> None:
    """Write README.md into a fitted run's folder, unless there is one."""
    assert run.folder is not None
    path = run.folder / CARD
    if not path.exists():
        atomic.write_bytes(path, "\n".join(_card(run, run.folder.name)).encode())


def write_measures(run: Run, evaluation: Evaluation | None, said: str) -> None:
    """Put what a report measured into the card; one whose place for it is gone is left as it is.

    Args:
        run: of a folder.
        evaluation: None where nothing could be measured.
        said: the verdict in a sentence, or why there is none.
    """
    assert run.folder is not None
    write_card(run)
    path = run.folder / CARD
    head, begins, rest = path.read_text(encoding="utf-8").partition(_BEGINS)
    _, ends, tail = rest.partition(_ENDS)
    if begins and ends:
        measured = "\n".join(["", said, "", *_measures(evaluation), ""])
        atomic.write_bytes(path, f"{head}{_BEGINS}{measured}{_ENDS}{tail}".encode())


def _card(run: Run, folder: str) -> Iterator[str]:
    facts, settings, unit = run.summary(), run.settings, run.kind.unit
    del facts["settings"]
    source = settings.data.source
    in_python = source == IN_MEMORY
    facts["source"] = "rows in memory" if in_python else Path(source).name
    yield from ("---", "library_name: sfumato", "tags:", "- diffusion")
    yield from (f"- {_TAGS[run.kind.name]}", "---", "", f"# {_plain(folder)}", "")
    yield f"A denoising diffusion model of {unit}, fitted with Sfumato."
    yield from ("", "## Use", "", "```python", "import sfumato", "")
    yield from (f'run = sfumato.open("{folder}")', f"{unit} = run.sample(1000)", "```", "")
    yield from ("## What it is", "", *_table(facts), "")
    heldout = run.load_data().heldout
    kept = "" if heldout is None else f" {len(heldout):,} {unit} were kept out of training."
    yield from (f"Seed {settings.seed}; all settings are in `config.toml`.{kept}", "")
    yield from ("## How well", "", _BEGINS)
    yield from (f"Not measured yet; `sfumato report {folder}` does it.", _ENDS, "")
    yield from ("## Limits", "", _LIMITS.format(unit=unit, folder=folder), "")
    yield from ("## Licence", "")
    yield "Not stated. Whoever owns the data decides; write it here before you hand this on."
    yield from ("", "## Made with", "", *_table(installed()), "")


def _measures(evaluation: Evaluation | None) -> Iterator[str]:
    if evaluation is None:
        return
    yield "| measure | generated | real against real | chance reaches | verdict |"
    yield "| --- | --- | --- | --- | --- |"
    for each in evaluation.measures:
        floor = sum(each.floor) / len(each.floor)
        title = each.title + (" (1 is best)" if each.higher_is_better else "")
        numbers = f"{each.value:.4g} | {floor:.3g} | {each.limit:.3g}"
        yield f"| {_plain(title)} | {numbers} | {each.verdict} |"


def _table(facts: Mapping[str, object]) -> Iterator[str]:
    yield from ("| | |", "| --- | --- |")
    yield from (f"| {name} | {_plain(str(value))} |" for name, value in facts.items())


def _plain(text: str) -> str:
    """Names of columns and folders as they are, not as Markdown or HTML."""
    for sign in "\\`*_[]|#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(escape(text, quote=False).split())
