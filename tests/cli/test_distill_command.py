"""The command `distill` on every kind of data: a map to draw with, or the reason why not."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from subjects import KINDS, subject

from command_line import Command
from sfumato.data.io.rows import read_rows
from sfumato.errors import DataError
from sfumato.runs import distill
from sfumato.runs.run import Run, open_run

REFUSED = {
    "foreign": (2, "a lone model file has no place for a few-step map"),
    "categories": (2, "this table has no numeric column"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def unmeasured(*_: object, **__: object) -> None:
        raise DataError("too few rows")

    for kind in distill._RECIPES:
        monkeypatch.setitem(distill._RECIPES, kind, (64, 4, 0.2, 1))
    monkeypatch.setattr(Run, "evaluate", unmeasured)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(
    sfumato: Command, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, kind: str
) -> None:
    given = subject(kind, tmp_path_factory)
    shutil.copytree(given.run, tmp_path / "own run")
    code, out, err = sfumato("distill 'own run'")
    if kind in REFUSED:
        expected, reason = REFUSED[kind]
        assert (code, out) == (expected, "")
        assert reason in err
        assert not (tmp_path / "own run" / "few").exists()
        return
    assert (code, err) == (0, "")
    assert "Map: 1, 2, 4 network calls; samples of 4: there are too few real" in out
    assert "`sample` goes on drawing with its sampler" in out
    assert "Next:  sfumato sample 'own run' -n " in out
    last = out.splitlines()[-1].removeprefix("Next:  sfumato ")
    assert last.endswith("--calls 4")
    assert sfumato(last)[0] == 0
    line = f"sample 'own run' -n 7 --calls 2 --to new.{given.ending} --quiet"
    assert sfumato(line) == (0, "", "")
    model = open_run(tmp_path / "own run").model
    if given.ending == "csv":
        assert len(read_rows(tmp_path / "new.csv")[0]) == 7
    assert model.few is not None
    code, out, err = sfumato("info 'own run'")
    assert "few-step map of 1, 2, 4 calls" in out


def test_bad_input_is_one_line(
    sfumato: Command, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    shutil.copytree(subject("points", tmp_path_factory).run, tmp_path / "run")
    for line, code, reason in (
        ("distill run --calls 3", 2, "a few-step map is of 1, 2, 4 network calls; got 3"),
        ("distill run --calls some", 2, "takes numbers from 1 to 4 "),
        ("distill nowhere", 4, "there is no run folder"),
        ("distill run --resume", 4, "nothing to go on with"),
        ("distill run --resume --calls 1", 2, "keeps its calls and its seed"),
        ("compare samplers run --calls ''", 2, "takes numbers"),
        ("sample run -n 3 --calls 2 --to new.csv", 2, "no few-step map yet"),
        ("sample run -n 3 --calls 3 --to new.csv", 2, "sampling.few"),
        ("sample run -n 3 --calls 2 --steps 5 --to new.csv", 2, "leave steps out"),
    ):
        found, out, err = sfumato(line)
        assert (found, out) == (code, ""), line
        assert err.startswith("sfumato: "), line
        assert err.count("\n") == 1, err
        assert reason in err, err
    assert not (tmp_path / "new.csv").exists()


def test_a_map_has_no_steps_to_choose(sfumato: Command, tmp_path: Path) -> None:
    small = "--set training.steps=20 --set network.width=16 --set training.snapshots=0"
    auto = "--set sampling.steps=auto --set sampling.sampler=unipc"
    assert sfumato(f"fit moons --out run --quiet {small} {auto}")[0] == 0
    assert sfumato("distill run --calls 2 --quiet")[0] == 0
    code, out, err = sfumato("sample run -n 3 --calls 2 --to new.csv")
    assert (code, err) == (0, "")
    assert "Steps:" not in out
    assert "Steps:" in sfumato("sample run -n 3 --calls 0 --to own.csv")[1]
    assert (tmp_path / "new.csv").read_text() != (tmp_path / "own.csv").read_text()


def test_a_signal_saves_and_it_goes_on(
    sfumato: Command,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(subject("points", tmp_path_factory).run, tmp_path / "run")
    fitting = distill.fitting  # type: ignore[attr-defined]

    def signalled(job: distill.Job, *, quiet: bool) -> Iterator[object]:  # type: ignore[name-defined]
        import os
        import signal

        for record in fitting(job, quiet=quiet):
            yield record
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setitem(distill._RECIPES, "points", (64, 4, 1.0, 1))
    monkeypatch.setattr(distill, "fitting", signalled)
    code, _, err = sfumato("distill run --calls 2")
    assert code == 143
    assert "Go on with: sfumato distill --resume run" in err
    monkeypatch.setattr(distill, "fitting", fitting)
    assert sfumato("distill run --resume --quiet")[0] == 0
    assert sfumato("sample run -n 3 --calls 2 --to new.csv --quiet")[0] == 0
