"""Tables on the command line: fitted, drawn with conditions, completed, scored."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bad_tables import BAD, BadTable
from command_line import TINY, Command, leave
from sfumato.errors import ArgumentError
from sfumato.runs.run import open_run

N = 240
SPELL = {True: "true", False: "false"}


def write_people(path: Path) -> None:
    """Text with commas, integers, cents, dates, booleans, missing values in two columns."""
    rng = np.random.default_rng(0)
    jobs = rng.choice(["clerk", "nurse", "farmer, retired"], N)
    ages = rng.integers(18, 80, N)
    days = np.datetime64("2020-02-28") + rng.integers(0, 800, N)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "job", "wage", "since", "smokes", "zip"])
        for k in range(N):
            job = "" if rng.random() < 0.1 else jobs[k]
            age = "" if rng.random() < 0.1 else ages[k]
            wage = f"{ages[k] * 50 + rng.normal(0, 9):.2f}"
            smokes = SPELL[bool(rng.random() < 0.3)]
            writer.writerow([age, job, wage, days[k], smokes, f"0{rng.integers(1000, 1005)}"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_people(folder / "people.csv")
    assert leave(f"fit {folder / 'people.csv'} --quiet --out {folder / 'run'} {TINY}") == 0
    return folder / "run"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_inferred_is_told_and_may_be_overruled(sfumato: Command, tmp_path: Path) -> None:
    write_people(tmp_path / "people.csv")
    code, out, err = sfumato(
        f"fit people.csv --out run {TINY} --column age=integer --column zip=dropped"
    )
    assert (code, err) == (0, "")
    for line in (
        "age     integer, 18 to 79; ",
        'job     categorical, 3 categories: "clerk", "farmer, retired", "nurse"; ',
        "since   date, 2020-0",
        "smokes  boolean, 2 categories",
        "zip     dropped",
        "--column NAME=TYPE",
    ):
        assert line in out, line
    assert "values missing" in out.splitlines()[0]
    assert open_run("run").model.codec.columns == ("age", "job", "wage", "since", "smokes")
    settings = (tmp_path / "run" / "config.toml").read_text()
    assert 'zip = "dropped"' in settings


def test_rows_come_out_as_the_file_s_are(sfumato: Command, run: Path, tmp_path: Path) -> None:
    assert sfumato(f"sample {run} -n 300 --to new.csv")[0] == 0
    rows = read(tmp_path / "new.csv")
    assert len(rows) == 300
    assert list(rows[0]) == ["age", "job", "wage", "since", "smokes", "zip"]
    for row in rows:
        assert row["age"] == "" or (row["age"].isdigit() and 18 <= int(row["age"]) <= 79)
        assert row["job"] in {"", "clerk", "nurse", "farmer, retired"}
        assert len(row["wage"].partition(".")[2]) <= 2
        assert "2020-02-28" <= row["since"] <= "2022-05-08"
        assert row["smokes"] in {"true", "false"}
        assert row["zip"] in {f"0{k}" for k in range(1000, 1005)}
    assert any(row["age"] == "" for row in rows)
    assert sfumato(f"sample {run} -n 3 --to few.csv")[0] == 0
    assert read(tmp_path / "few.csv") == rows[:3]


def test_conditions_are_met(sfumato: Command, run: Path, tmp_path: Path) -> None:
    given = (
        "--given age=40 --given 'job=farmer, retired' --given since=2021-01-02 --given zip=01001"
    )
    assert sfumato(f"sample {run} -n 20 --to new.csv {given}")[0] == 0
    for row in read(tmp_path / "new.csv"):
        assert (row["age"], row["job"], row["since"]) == ("40", "farmer, retired", "2021-01-02")
        assert row["zip"] == "01001"
    assert sfumato(f"sample {run} -n 5 --to new.csv --given job=")[0] == 0
    assert {row["job"] for row in read(tmp_path / "new.csv")} == {""}


def test_what_lies_beyond_is_said(sfumato: Command, run: Path, tmp_path: Path) -> None:
    code, _, err = sfumato(f"sample {run} -n 5 --to new.csv --given age=400")
    assert code == 0
    assert "note: 'age': 1 of 1 values lie beyond 18 to 79" in err
    assert {row["age"] for row in read(tmp_path / "new.csv")} == {"400"}
    (tmp_path / "far.csv").write_text(
        "age,job,wage,since,smokes,zip\n300,king,2000,2021-01-01,true,01001\n"
    )
    err = sfumato(f"score {run} far.csv")[2]
    assert "'age': 1 of 1" in err
    assert "'job': 1 of 1 values were never seen" in err


def test_holes_are_filled_and_the_rest_stays(sfumato: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "holes.csv").write_text(
        "note,age,job,wage,since,smokes,zip\n"
        "a,,clerk,2000.5,2021-01-01,,01001\n"
        "b,30,,,2021-02-01,true,\n"
        "c,30,nurse,1500,2021-02-01,true,01002\n"
    )
    code, out, _ = sfumato(f"impute {run} holes.csv --to filled.csv")
    assert code == 0
    assert "5 cells filled" in out
    before, after = read(tmp_path / "holes.csv"), read(tmp_path / "filled.csv")
    for one, other in zip(before, after, strict=True):
        assert list(one) == list(other)
        for name, value in one.items():
            assert other[name] != ""
            if value:
                assert other[name] == value or float(other[name]) == float(value)
    assert sfumato(f"impute {run} holes.csv --to filled.csv --draws 2 --quiet")[:2] == (0, "")
    assert read(tmp_path / "filled-1.csv") != read(tmp_path / "filled-2.csv")


def test_only_cells_that_were_filled_are_counted(sfumato: Command, tmp_path: Path) -> None:
    """Not those of a column without any value, nor of one that the model does not have."""
    rows = [f"{k % 7}.{k % 5},,{'' if k % 10 == 0 else 'ab'[k % 2]}" for k in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,none,word", *rows]))
    assert sfumato(f"fit rows.csv --out run {TINY}")[0] == 0
    (tmp_path / "holes.csv").write_text("x,none,word,note\n,,,\n1.5,,a,\n2.5,,,much\n")
    code, out, _ = sfumato("impute run holes.csv --to filled.csv")
    assert (code, "3 cells filled in filled.csv" in out) == (0, True), out
    filled = read(tmp_path / "filled.csv")
    assert [[row["none"], row["note"]] for row in filled] == [["", ""], ["", ""], ["", "much"]]
    out = sfumato("impute run holes.csv --to filled.csv --draws 2")[1]
    assert "3 cells filled in each of filled-1.csv ... filled-2.csv" in out


def test_cells_that_cannot_be_filled_are_not_counted(sfumato: Command, tmp_path: Path) -> None:
    rows = "".join(f"{k % 9},,{'ab'[k % 2]}\n" for k in range(40))
    (tmp_path / "rows.csv").write_text(f"x,none,word\n{rows}")
    assert sfumato(f"fit rows.csv --out run --quiet {TINY}")[0] == 0
    (tmp_path / "incomplete.csv").write_text("x,none,word\n3,,a\n,,b\n1,,\n,,\n")
    for options, where in (("", "in filled.csv"), (" --draws 2", "in each of filled-1.csv")):
        code, out, _ = sfumato(f"impute run incomplete.csv --to filled.csv{options}")
        assert code == 0
        assert out.startswith(f"4 cells filled {where}")
    assert {row["none"] for row in read(tmp_path / "filled.csv")} == {""}
    (tmp_path / "complete.csv").write_text("x,none,word\n3,,a\n")
    assert sfumato("impute run complete.csv --to same.csv")[1].startswith("0 cells filled")
    assert (tmp_path / "same.csv").read_text() == (tmp_path / "complete.csv").read_text()


def test_what_is_known_of_a_table_is_what_is_not_missing(run: Path) -> None:
    opened = open_run(run)
    rows = opened.sample(3)
    with pytest.raises(ArgumentError, match="leave `known` out"):
        opened.complete(rows, np.ones((3, 6), bool))


def test_scores_are_printed_and_written(sfumato: Command, run: Path, tmp_path: Path) -> None:
    write_people(tmp_path / "people.csv")
    code, out, _ = sfumato(f"score {run} people.csv --to scored.csv --json")
    assert code == 0
    told, rows = json.loads(out), read(tmp_path / "scored.csv")
    assert told["rows"] == len(rows) == N
    mean = np.mean([float(row["log_prob"]) for row in rows])
    assert told["nats"] == pytest.approx(mean, abs=1e-9)
    assert "Mean log density of 240 rows" in sfumato(f"score {run} people.csv")[1]


def test_a_run_goes_on_bit_for_bit(sfumato: Command, tmp_path: Path, run: Path) -> None:
    """From a checkpoint half way, as after a kill: the same weights as without a stop."""
    from sfumato import config
    from sfumato.runs.fit import begin, resolve
    from sfumato.runs.job import fitting

    write_people(tmp_path / "people.csv")
    tiny = config.parse_assignments([each for each in TINY.split() if each != "--set"])
    tiny = config.merged(tiny, {"training": {"checkpoint_every": 20}})
    settings, data = resolve("people.csv", {}, tiny)
    with begin(settings, data, "half") as job:
        walk = fitting(job)
        while next(walk).step < 20:
            pass
        del walk
    assert sfumato("fit --resume --out half --quiet")[0] == 0
    assert (tmp_path / "half" / "model.safetensors").is_file()
    whole, half = open_run(run).model, open_run("half").model
    for name, value in whole.denoiser.network.state_dict().items():
        assert value.equal(half.denoiser.network.state_dict()[name]), name


def test_up_to_three_columns_of_decimals_are_points_unless_a_table_is_asked_for(
    sfumato: Command, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for columns in (3, 4):
        rows = "\n".join(
            ",".join(f"{x:.9f}" for x in row) for row in rng.normal(size=(60, columns))
        )
        (tmp_path / f"{columns}.csv").write_text(f"{','.join('abcd'[:columns])}\n{rows}\n")
    assert "network.name = " not in sfumato(f"fit 3.csv --out points --quiet {TINY}")[1]
    assert 'name = "vector-mlp"' in (tmp_path / "points" / "config.toml").read_text()
    for line in ("fit 4.csv --out wide", "fit 3.csv --out told --set data.kind=table"):
        assert sfumato(f"{line} --quiet {TINY}")[0] == 0
    for name in ("wide", "told"):
        assert 'name = "table-mlp"' in (tmp_path / name / "config.toml").read_text()
    (tmp_path / "incomplete.csv").write_text("a,b,c\n1,,2\n0.5,0.25,0.125\n")
    code, out, _ = sfumato("impute points incomplete.csv --to filled.csv")
    assert code == 0
    assert "1 cell filled" in out
    one, other = read(tmp_path / "filled.csv")
    assert (float(one["a"]), float(one["c"])) == (1, 2)
    assert np.isfinite(float(one["b"]))
    assert {name: float(value) for name, value in other.items()} == {
        "a": 0.5,
        "b": 0.25,
        "c": 0.125,
    }


def test_the_settings_shown_are_those_of_the_table(sfumato: Command, tmp_path: Path) -> None:
    write_people(tmp_path / "people.csv")
    assert 'name = "table-mlp"' in sfumato("fit people.csv --show-settings")[1]


WAGE = "typed.csv: the column 'wage' holds text, such as 'much' in row 1; the model learned"
AGE = "the column 'age' holds text, such as 'old' in row 2; the model learned integers there"


@pytest.mark.parametrize(
    ("line", "code", "fault"),
    [
        ("sample RUN --to a.csv --given age", 2, "`--given` takes NAME=VALUE"),
        ("sample RUN --to a.csv --given ag=4", 2, "unknown column 'ag'; did you mean 'age'"),
        ("sample RUN --to a.csv --given age=old", 2, "'age' holds an integer; got 'old'"),
        ("sample RUN --to a.csv --given age=4.5", 2, "'age' holds an integer; got '4.5'"),
        ("sample RUN --to a.csv --given job=king", 2, "never was 'king'"),
        ("sample RUN --to a.csv --given wage=", 2, "'wage' is never empty"),
        ("sample RUN --to a.csv --given since=soon", 2, "'since' holds a date"),
        ("sample RUN --to a.csv --given smokes=maybe", 2, "'smokes' holds true or false"),
        ("sample RUN --to a.csv --given class=3", 2, "unknown column 'class'"),
        ("sample RUN --to a.csv --steps auto", 2, "the steps of a table are a number"),
        ("sample RUN --to a.png", 2, ".parquet"),
        ("sample RUN --to none/a.csv", 2, "no folder none"),
        ("impute RUN none.csv --to a.csv", 3, "there is no file none.csv"),
        ("impute RUN other.csv --to a.csv", 3, "lacks the columns age, job"),
        ("impute RUN typed.csv --to a.csv", 3, WAGE),
        ("score RUN both.csv", 3, f"both.csv: {AGE}; and the column 'wage' holds text"),
        ("score RUN dated.csv", 3, "'since' holds text, such as 'soon' in row 2; the model"),
        ("score RUN smoked.csv", 3, "'smokes' holds text, such as 'maybe' in row 2; the"),
        ("score RUN timed.csv", 3, "'age' holds times or durations (hh:mm); the model learned int"),
        ("sample RUN --given-file both.csv --to a.csv", 3, f"both.csv: {AGE}; and the column"),
        ("score RUN people.csv --bound", 2, "--bound"),
        ("score RUN people.csv --tol 0.1", 2, "--tol"),
        ("evaluate RUN --against other.csv", 3, "lacks the columns age, job"),
        ("evaluate RUN --against typed.csv", 3, WAGE),
        ("evaluate RUN --target wages", 2, "did you mean 'wage'"),
        ("animate RUN reverse --to a.csv", 2, ".gif, .mp4"),
        ("edit RUN other.csv --from 0.5 --to a.csv", 3, "lacks the columns age, job"),
        ("edit RUN people.csv --from 2 --to a.csv", 2, "at most 1"),
        ("export RUN --to onnx dir --given age=40", 2, "leave `given` and `classes` out"),
        ("export RUN --to diffusers dir", 2, "UNet2DModel is a unet of pictures"),
        ("fit people.csv --column age", 2, "`--column` takes NAME=TYPE"),
        ("fit people.csv --column ag=integer", 2, "unknown column 'ag'"),
        ("fit people.csv --column job=integer", 2, "'job' cannot be integer: it holds text"),
        ("fit people.csv --column job=intger", 2, "did you mean 'integer'"),
        ("fit people.csv --set process.num_levels=100", 2, "num_levels at 0"),
        ("fit people.csv --set network.name=unet", 2, "'unet' is not for tables"),
        ("fit people.csv --set training.flip=true", 2, "training.flip"),
        ("fit names.csv", 3, "every column is constant or only names the rows"),
        ("fit two.csv", 3, "at least 3 rows"),
        ("fit same.csv", 3, "every column is constant"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_a_code(
    sfumato: Command, run: Path, tmp_path: Path, line: str, code: int, fault: str
) -> None:
    write_people(tmp_path / "people.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n")
    header = "age,job,wage,since,smokes,zip\n"
    (tmp_path / "typed.csv").write_text(header + "30,,much,2021-01-01,true,01001\n" * 150)
    good = "30,,1,2021-01-01,true,01001\n"
    (tmp_path / "dated.csv").write_text(header + good + good.replace("2021-01-01", "soon"))
    (tmp_path / "smoked.csv").write_text(header + good + good.replace("true", "maybe"))
    (tmp_path / "timed.csv").write_text(header + "07:30,,1,2021-01-01,true,01001\n" * 2)
    rows = "30,,1,2021-01-01,true,01001\nold,,much,2021-01-01,true,01001\n"
    (tmp_path / "both.csv").write_text(header + rows)
    names = "".join(f"{k},name {k}\n" for k in range(200))
    (tmp_path / "names.csv").write_text("x,name\n" + names)
    (tmp_path / "two.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "same.csv").write_text("a,b\n" + "1,x\n" * 9)
    found, out, err = sfumato(line.replace("RUN", str(run)))
    assert (found, out) == (code, "")
    assert fault in err
    assert err.startswith("sfumato: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_every_bad_table_is_one_line_and_code_3(
    sfumato: Command, tmp_path: Path, bad: BadTable
) -> None:
    path = bad.write(tmp_path)
    code, out, err = sfumato(f"fit '{path.name}' {TINY}")
    assert (code, out) == (3, "")
    for phrase in bad.phrases:
        assert " ".join(phrase.split()) in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_markers_and_forms_are_said_and_kept_for_later_files(
    sfumato: Command, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{'-' if k % 9 == 0 else 20 + k % 50}, {'?' if k % 7 == 0 else 'ab'[k % 2]},"
        f'"${rng.gamma(2, 900):,.2f}",{k % 28 + 1}.{k % 12 + 1}.2024 1{k % 10}:30'
        for k in range(N)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["age,job,price,at", *rows]))
    code, out, err = sfumato(f"fit t.csv --out run {TINY}")
    assert (code, out) == (3, "")
    assert "'-' is not a number" in err
    assert "(--missing -)" in err
    code, out, err = sfumato(f"fit t.csv --missing - --out run {TINY}")
    assert (code, err) == (0, "")
    for line in (
        "'?' may mean missing (--missing '?'); spaces around its texts taken off",
        "price  continuous,",
        "read as numbers: $",
        "read as day.month.year hour:minute: 1.1.2024 10:30 is 2024-01-01T10:30",
    ):
        assert line in out, line
    assert 'missing = [\n    "-",\n]' in (tmp_path / "run" / "config.toml").read_text()
    assert sfumato("sample run -n 5 --to new.csv --given 'price=$1,200.00' --given age=")[0] == 0
    for row in read(tmp_path / "new.csv"):
        assert (row["age"], row["price"]) == ("", "$1,200.00")
        day, hour = row["at"].split(" ")
        assert day.endswith(".2024")
        assert 1 <= int(day.split(".")[0]) <= 31
        assert hour.endswith(":30")
    # A file whose days settle nothing is read as the model's was.
    (tmp_path / "few.csv").write_text("age,job,price,at\n., a,,2.3.2024 10:30\n31,b,$9.50,\n")
    assert sfumato("impute run few.csv --to filled.csv")[1].startswith("3 cells filled")
    first, second = read(tmp_path / "filled.csv")
    assert first["at"] == "2.3.2024 10:30"
    assert second["price"] == "$9.50"
    assert second["at"].count(".") == 2
    assert first["price"].startswith("$")
    assert first["age"].isdigit()


def test_all_faults_of_a_file_are_lines_of_one_error(sfumato: Command, tmp_path: Path) -> None:
    rows = [f"0{k % 9 + 1}/0{k % 7 + 1}/2024,{k}" for k in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["born,n", *rows, "01/01/2024,low"]))
    code, out, err = sfumato("fit t.csv")
    assert (code, out) == (3, "")
    first, *_, last = err.splitlines()
    assert first == "sfumato: t.csv has 2 columns that cannot be read as they are:"
    assert err.count("\n") == 4
    command = last.partition("sfumato ")[2]
    assert sfumato(f"{command} --out run --quiet {TINY}")[::2] == (0, "")


def test_integers_that_are_declared_continuous_are_opened_again(
    sfumato: Command, tmp_path: Path
) -> None:
    rows = "".join(f'"{k * k + 1000:,}",{k % 7}\n' for k in range(60))
    (tmp_path / "t.csv").write_text("pop,k\n" + rows)
    command = "fit t.csv --column pop=continuous:1,234.5 --column k=continuous"
    assert sfumato(f"{command} --out run --quiet {TINY}")[::2] == (0, "")
    assert sfumato("sample run -n 9 --to new.csv")[0] == 0
    for row in read(tmp_path / "new.csv"):
        assert 1000 <= int(row["pop"].replace(",", "")) <= 4481
        assert row["pop"][-4] == ","
        assert row["k"] in "0123456"


def test_cells_that_stay_missing_are_named(sfumato: Command, tmp_path: Path) -> None:
    rows = "".join(f"{k % 9},,{'ab'[k % 2]}\n" for k in range(40))
    (tmp_path / "rows.csv").write_text(f"x,none,word\n{rows}")
    assert sfumato(f"fit rows.csv --out run --quiet {TINY}")[0] == 0
    out = sfumato("impute run rows.csv --to filled.csv")[1]
    assert out.startswith("0 cells filled")
    assert "Still missing: 'none', without any value in what the model learned" in out


@pytest.fixture(scope="module")
def named_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows as R writes them: numbered without a name, with a key and free text."""
    folder, rng = tmp_path_factory.mktemp("named"), np.random.default_rng(0)
    rows = [
        f'"{k + 1}","K{key:05}","note {k} of {key}",{rng.normal():.2f}'
        for k, key in enumerate(rng.permutation(N))
    ]
    (folder / "rows.csv").write_text("\n".join(['"","key","note","x"', *rows]))
    assert leave(f"fit {folder / 'rows.csv'} --quiet --out {folder / 'run'} {TINY}") == 0
    return folder / "run"


def test_columns_that_name_the_rows_are_set_aside_in_a_line_each(
    sfumato: Command, named_run: Path
) -> None:
    code, out, err = sfumato(f"fit {named_run.parent / 'rows.csv'} --out again {TINY}")
    assert (code, err) == (0, "")
    for line in (
        "row   identifier, numbers the rows from 1; set aside, numbered anew in what is drawn (as",
        "(as data: --column row=integer)",
        "set aside, new ones of this shape in what is drawn (as data: --column key=categorical)",
        "different texts; set aside, left empty in what is drawn (as data: --column note=categ",
    ):
        assert line in out, line
    out = sfumato(f"info {named_run}")[1]
    assert "row (identifier), key (identifier), note (identifier), x (continuous)" in out


def test_what_names_the_rows_is_made_anew(
    sfumato: Command, named_run: Path, tmp_path: Path
) -> None:
    assert sfumato(f"sample {named_run} -n 1500 --to new.csv")[0] == 0
    drawn, known = read(tmp_path / "new.csv"), read(named_run.parent / "rows.csv")
    assert list(drawn[0]) == ["row", "key", "note", "x"]
    assert [row["row"] for row in drawn] == [str(k) for k in range(1, 1501)]
    assert len({row["key"] for row in (*drawn, *known)}) == 1500 + N
    assert {row["note"] for row in drawn} == {""}
    run = open_run(named_run)
    some = run.sample(40, first=1010)
    assert some["key"].values.tolist() == [row["key"] for row in drawn[1010:1050]]
    assert some["row"].values.tolist() == list(range(1011, 1051))
    assert sfumato(f"evaluate {named_run} -n 20")[0] == 0


def test_what_names_the_rows_stays_where_rows_are_changed(
    sfumato: Command, named_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "holes.csv").write_text(",key,note,x\n7,K1,much,\n8,,,0.5\n")
    for line in ("impute RUN holes.csv --to out.csv", "score RUN whole.csv --to out.csv",
                 "edit RUN whole.csv --from 0.3 --to out.csv"):  # fmt: skip
        (tmp_path / "whole.csv").write_text(",key,note,x\n7,K1,much,1.5\n8,,,0.5\n")
        code, _, err = sfumato(line.replace("RUN", str(named_run)))
        assert (code, err) == (0, ""), line
        named = [[row[name] for name in ("row", "key", "note")] for row in read(Path("out.csv"))]
        assert named == [["7", "K1", "much"], ["8", "", ""]]
    (tmp_path / "bare.csv").write_text("x\n1.5\n")
    assert sfumato(f"score {named_run} bare.csv")[0] == 0
    code, _, err = sfumato(f"sample {named_run} --to a.csv --given key=K1")
    assert code == 2
    assert "the column 'key' only names the rows" in err
