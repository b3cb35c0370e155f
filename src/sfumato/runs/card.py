"""The model card of a run folder: what it is, what it learned from, how well, and its limits.

Its form is that of the Hugging Face hub's README.md (Mitchell et al. 2019, Model Cards for Model
Reporting). It is the user's to edit: nothing is replaced but what stands between its marks.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

from sfumato import atomic
from sfumato.data.source import IN_MEMORY
from sfumato.metrics.evaluation import Evaluation
from sfumato.runs.folder import CARD
from sfumato.runs.run import Run
from sfumato.versions import installed

_FACTS = "<!-- facts -->", "<!-- end of facts -->"
_MEASURED = "<!-- measured -->", "<!-- end of measured -->"
_TAGS = {"points": "points", "table": "tabular", "images": "images"}

_LIMITS = """\
- It knows what its training rows show, no more: groups that are rare there are poorly learned, and
  what is wrong or unfair in them is drawn again.
- Drawn {unit} are not anonymous by themselves: they may come close to training {unit}. The measures
  of memorisation above, where there are any, say how close.
- Measures hold for the data named here; for others, measure again:
  {evaluate}."""


def write_card(run: Run) -> None:
    """Write README.md into a fitted run's folder; in one that is there, only what has changed.

    A model that changed (trained on, or with a map that draws) is not measured yet.
    """
    assert run.folder is not None
    path = run.folder / CARD
    if not path.exists():
        atomic.write_bytes(path, "\n".join(_card(run)).encode())
        return
    before = path.read_bytes()
    after = _between(before, _FACTS, _facts(run))
    if after != before:
        atomic.write_bytes(path, _between(after, _MEASURED, [_not_measured(run)]))


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
    measured = [_plain(said), "", *_measures(evaluation)]
    atomic.write_bytes(path, _between(path.read_bytes(), _MEASURED, measured))


def _between(card: bytes, marks: tuple[str, str], lines: Iterable[str]) -> bytes:
    """The card with other lines between two marks; as it is where they are gone."""
    begins, ends = (mark.encode() for mark in marks)
    head, found, rest = card.partition(begins)
    _, closed, tail = rest.partition(ends)
    if not (found and closed):
        return card
    return b"".join([head, begins, "\n".join(["", *lines, ""]).encode(), ends, tail])


def _card(run: Run) -> Iterator[str]:
    unit, name = run.kind.unit, _name(run)
    yield from ("---", "library_name: sfumato", "tags:", "- diffusion")
    yield from (f"- {_TAGS[run.kind.name]}", "---", "", f"# {_plain(name)}", "")
    yield f"A denoising diffusion model of {unit}, fitted with Sfumato."
    yield from ("", "## Use", "", "```python", "import sfumato", "")
    yield f"run = sfumato.open({json.dumps(name, ensure_ascii=False)})"
    yield from (f"{unit} = run.sample(1000)", "```", "")
    yield from ("## What it is", "", _FACTS[0], *_facts(run), _FACTS[1], "")
    yield from ("## How well", "", _MEASURED[0], _not_measured(run), _MEASURED[1], "")
    evaluate = _code(f"sfumato evaluate {shlex.quote(name)} --against FILE")
    yield from ("## Limits", "", _LIMITS.format(unit=unit, evaluate=evaluate), "")
    yield from ("## Licence", "")
    yield "Not stated. Whoever owns the data decides; write it here before you hand this on."
    yield from ("", "## Made with", "", *_table(installed()), "")


def _facts(run: Run) -> Iterator[str]:
    facts, settings = run.summary(), run.settings
    del facts["settings"]
    # Names, not where they lie on this machine.
    source = settings.data.source
    facts["source"] = "rows in memory" if source == IN_MEMORY else Path(source).name
    if settings.start.path:
        facts["start"] = f"the weights of {Path(settings.start.path).name}"
    yield from _table(facts)
    data = run.known_data()
    heldout = None if data is None else data.heldout
    kept = (
        "" if heldout is None else f" {len(heldout):,} {run.kind.unit} were kept out of training."
    )
    yield from ("", f"Seed {settings.seed}; all settings are in `config.toml`.{kept}")


def _not_measured(run: Run) -> str:
    return f"Not measured yet; {_code(f'sfumato report {shlex.quote(_name(run))}')} does it."


def _name(run: Run) -> str:
    assert run.folder is not None
    return run.folder.resolve().name


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


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
