"""Rules on the command line: stated or found, printed, held in all that is written."""

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import TINY, Command, leave

N = 400
COUNTRIES = {"Oslo": "Norway", "Bergen": "Norway", "Rome": "Italy", "Milan": "Italy"}
HEAD = ["id", "city", "country", "net price", "postage", "total", "ordered", "sent", "age"]


def write_orders(path: Path, spoil: dict[int, dict[str, Any]] | None = None) -> None:
    """Running numbers, days as people write them, `.` for a missing age, a sum and an order."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEAD)
        writer.writeheader()
        for k in range(N):
            city = str(rng.choice(list(COUNTRIES)))
            price, postage = round(float(rng.gamma(3, 20)), 2), round(float(rng.gamma(2, 2)), 2)
            day = date(2023, 1, 1) + timedelta(int(rng.integers(0, 700)))
            sent = day + timedelta(int(rng.geometric(0.3)) - 1)
            row = {"id": k + 1, "city": city, "country": COUNTRIES[city], "net price": price,
                   "postage": postage, "total": f"{price + postage:.2f}",
                   "ordered": day.strftime("%d.%m.%Y"),
                   "sent": "" if rng.random() < 0.1 else sent.strftime("%d.%m.%Y"),
                   "age": "." if rng.random() < 0.1 else int(rng.integers(18, 90))}  # fmt: skip
            writer.writerow({**row, **(spoil or {}).get(k, {})})


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def day(text: str) -> np.datetime64:
    d, m, y = text.split(".")
    return np.datetime64(f"{y}-{m}-{d}")


def keep_the_rules(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert COUNTRIES[row["city"]] == row["country"]
        cents = [round(100 * float(row[name])) for name in ("net price", "postage", "total")]
        assert cents[0] + cents[1] == cents[2]
        assert not row["sent"] or day(row["sent"]) >= day(row["ordered"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("orders")
    write_orders(made / "orders.csv")
    fit = f"fit {made / 'orders.csv'} --missing . --out {made / 'run'} --quiet {TINY}"
    rules = "--rule 'sent >= ordered' --rule '0 <= postage'"
    assert leave(f"{fit} {rules}") == 0
    return made


def test_rules_are_printed_with_what_leaves_them_out(sfumato: Command, tmp_path: Path) -> None:
    write_orders(tmp_path / "orders.csv")
    code, out, err = sfumato(
        f"fit orders.csv --missing . --out run {TINY} --rule 'total = net price + postage'"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    first = lines.index("Rules, held in every row that is drawn or filled:")
    assert lines[first + 1 : first + 5] == [
        "  total = net price + postage",
        "  sent >= ordered  (found in all rows)",
        "  city, country  (found in all rows)",
        "  (found rules are left out: --rule none, and --rule for each that is to stay)",
    ]
    assert "rules: total = net price + postage; sent >= ordered; city, country" in " ".join(
        sfumato("info run")[1].replace("rules  ", "rules: ").split()
    )


def test_a_rule_that_rows_kept_out_break_is_not_found(sfumato: Command, tmp_path: Path) -> None:
    """Whichever rows are kept out of training, one row of the file that breaks it is enough."""
    spoil = {7: {"ordered": "02.01.2023", "sent": "01.01.2023"}, 11: {"country": "Peru"}}
    write_orders(tmp_path / "orders.csv", spoil)
    for seed in range(3):
        code, out, _ = sfumato(f"fit orders.csv --missing . --out run{seed} {TINY} --seed {seed}")
        assert code == 0
        assert "(found in all rows)" in out
        assert "sent >= ordered" not in out
        assert "city, country" not in out


def test_none_finds_none(sfumato: Command, tmp_path: Path) -> None:
    write_orders(tmp_path / "orders.csv")
    code, out, _ = sfumato(f"fit orders.csv --missing . --out run {TINY} --rule none")
    assert code == 0
    assert "Rules" not in out


def test_rows_that_are_drawn_keep_the_rules(sfumato: Command, folder: Path) -> None:
    code, _, err = sfumato(f"sample {folder / 'run'} -n 600 --to new.csv --quiet")
    assert (code, err) == (0, "")
    rows = read(Path("new.csv"))
    keep_the_rules(rows)
    assert any(not row["sent"] for row in rows)
    assert [row["id"] for row in rows[:3]] == ["1", "2", "3"]
    sfumato(f"sample {folder / 'run'} -n 200 --given sent=05.02.2023 --to given.csv --quiet")
    rows = read(Path("given.csv"))
    assert {row["sent"] for row in rows} == {"05.02.2023"}
    keep_the_rules(rows)


def test_rows_without_a_missing_value_are_filled_with_nothing(
    sfumato: Command, folder: Path
) -> None:
    whole = [row for row in read(folder / "orders.csv") if row["sent"] and row["age"] != "."][:5]
    with Path("whole.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, HEAD)
        writer.writeheader()
        writer.writerows(whole)
    code, _, err = sfumato(f"impute {folder / 'run'} whole.csv --to full.csv --quiet")
    assert (code, err) == (0, "")
    assert [(row["city"], row["sent"]) for row in read(Path("full.csv"))] == [
        (row["city"], row["sent"]) for row in whole
    ]


def test_rows_that_are_filled_or_edited_keep_the_rules(sfumato: Command, folder: Path) -> None:
    rng = np.random.default_rng(1)
    whole = [row for row in read(folder / "orders.csv") if row["sent"]]
    gone = rng.random((len(whole), len(HEAD))) < 0.4
    gone[:, 0] = False
    with Path("holes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, HEAD)
        writer.writeheader()
        for row, of in zip(whole, gone, strict=True):
            writer.writerow({n: "" if g else row[n] for n, g in zip(HEAD, of, strict=True)})
    for options in ("", "--draws 1"):
        code, _, err = sfumato(f"impute {folder / 'run'} holes.csv --to full.csv --quiet {options}")
        assert (code, err) == (0, "")
        filled = read(Path("full.csv"))
        keep_the_rules(filled)
        for row, known, of in zip(filled, whole, gone, strict=True):
            for name, hidden in zip(HEAD[1:-1], of[1:-1], strict=True):
                number = name in ("net price", "postage", "total")
                read_as = float if number else str
                assert hidden or read_as(row[name]) == read_as(known[name])
    code, _, err = sfumato(
        f"edit {folder / 'run'} {folder / 'orders.csv'} --from 0.4 --to like.csv --quiet"
    )
    assert (code, err) == (0, "")
    keep_the_rules(read(Path("like.csv")))


def test_a_resumed_run_keeps_its_rules(sfumato: Command, tmp_path: Path) -> None:
    write_orders(tmp_path / "orders.csv")
    assert sfumato(f"fit orders.csv --missing . --out run --quiet {TINY}")[0] == 0
    before = sfumato("info run")[1]
    assert sfumato("fit --resume --out run --quiet")[0] == 0
    assert sfumato("info run")[1] == before


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        ("--rule 'sent >= orderd'", 2, ("unknown column", "'orderd'", "did you mean 'ordered'")),
        ("--rule 'sent => ordered'", 2, ("the rule 'sent => ordered' cannot be read",)),
        ("--rule 'city >= 3'", 2, ("the column 'city' holds text",)),
        ("--rule 'id >= 0'", 2, ("'id', which is set aside", "--column id=TYPE")),
        ("--rule 'postage, city'", 2, ("is of categories", "'postage' holds numbers")),
        ("--rule 'postage >= total'", 3, ("does not hold in 400 of 400 rows, first in row 1 (",)),
        ("--rule 'total = 2 postage'", 3, ("does not hold in 400 of 400 rows",)),
        ("--rule 'sent >= total'", 2, ("compared with dates alone",)),
        ("--set data.kind=points --rule 'total >= 0'", 3, ("rules are of a table",)),
    ],
)
def test_a_rule_that_cannot_be_held_is_one_line(
    sfumato: Command, tmp_path: Path, options: str, code: int, parts: tuple[str, ...]
) -> None:
    write_orders(tmp_path / "orders.csv")
    left, _, err = sfumato(f"fit orders.csv --missing . --out run {TINY} {options}")
    assert left == code
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("source", ["moons", "digits"])
def test_what_is_no_table_has_no_rules(sfumato: Command, source: str) -> None:
    code, _, err = sfumato(f"fit {source} --out run {TINY} --rule 'y >= x'")
    assert code == 2
    assert "rules (--rule) are of the columns of a table" in err


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            "--given city=Rome --given country=Norway",
            "that were learned are drawn: city 'Rome', country 'Norway'; change one of these, or",
        ),
        (
            "--given 'net price=5' --given postage=1 --given total=7",
            ": total 7, net price 5, postage 1;",
        ),
        (
            "--given ordered=03.03.2023 --given sent=01.03.2023",
            "'sent >= ordered', which was stated: sent 2023-03-01, ordered 2023-03-03;",
        ),
        ("--given postage=-1", "'0 <= postage', which was stated: postage -1;"),
    ],
)
def test_conditions_that_break_a_rule_are_one_line(
    sfumato: Command, folder: Path, given: str, fault: str
) -> None:
    code, _, err = sfumato(f"sample {folder / 'run'} -n 5 --to new.csv {given}")
    assert code == 2
    assert "the values given break the rule" in err
    assert fault in err.splitlines()[-1]  # a note may say that a value is out of range
    assert not Path("new.csv").exists()


def test_a_file_of_conditions_that_break_a_rule_is_one_line(sfumato: Command, folder: Path) -> None:
    Path("some.csv").write_text("city,country\nOslo,Norway\nRome,Norway\n")
    code, _, err = sfumato(f"sample {folder / 'run'} --given-file some.csv --to new.csv")
    assert code == 3
    assert "row 2: its known values break the rule 'city, country'" in err
    assert not Path("new.csv").exists()


def test_two_columns_of_decimals_with_a_rule_are_a_table(sfumato: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    low = rng.normal(0, 1, 300).round(2)
    high = (low + rng.exponential(1, 300)).round(2)
    lines = [f"{a},{b}" for a, b in zip(low, high, strict=True)]
    (tmp_path / "xy.csv").write_text("\n".join(["low,high", *lines, ""]))
    code, out, _ = sfumato(f"fit xy.csv --out run {TINY} --rule 'low <= high'")
    assert code == 0
    assert "Rules, held in every row" in out
    sfumato("sample run -n 400 --to new.csv --quiet")
    assert all(float(row["low"]) <= float(row["high"]) for row in read(tmp_path / "new.csv"))


def test_a_prediction_says_which_rows_break_a_found_rule(sfumato: Command, folder: Path) -> None:
    """A stated one refuses it; what a rule is broken by is not the target's old value."""
    head = "city,country,net price,postage,total,ordered,sent\n"
    Path("new.csv").write_text(
        f"{head}Oslo,Norway,10,1,11,01.02.2023,02.02.2023\nOslo,Norway,10,1,20,01.02.2023,\n"
        "Oslo,Italy,10,1,11,01.02.2023,\n"
    )
    code, _, err = sfumato(f"predict {folder / 'run'} new.csv --target age --to out.csv -q")
    assert code == 0
    assert "note: new.csv lacks 'age'" not in err
    for rule, row in (("total = ", 2), ("'city, country'", 3)):
        (line,) = (each for each in err.splitlines() if rule in each)
        assert f"broken by 1 of 3 rows, first by row {row}; they are predicted as" in line
    # The total's own old value breaks nothing where the total is predicted.
    _, _, err = sfumato(f"predict {folder / 'run'} new.csv --target total --to out.csv -q")
    assert "total = " not in err
    assert [row["total mean"] for row in read(Path("out.csv"))] == ["11.0"] * 3
    Path("new.csv").write_text(f"{head}Oslo,Norway,10,1,11,02.02.2023,01.02.2023\n")
    code, _, err = sfumato(f"predict {folder / 'run'} new.csv --target age --to none.csv -q")
    assert (code, "the known values break the rule 'sent >= ordered'" in err) == (
        3,
        True,
    )
    assert not Path("none.csv").exists()


def test_a_column_of_text_that_a_file_lacks_is_not_known_beside_a_mark_for_missing(
    sfumato: Command, folder: Path
) -> None:
    Path("new.csv").write_text("postage,age\n3,.\n4,30\n")
    line = f"predict {folder / 'run'} new.csv --target age --to out.csv -q"
    assert sfumato(line)[0] == 0
    assert sfumato(f"sample {folder / 'run'} --given-file new.csv --to drawn.csv -q")[0] == 0
    assert [float(row["postage"]) for row in read(Path("drawn.csv"))] == [3, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("predict {run} new.csv --target id --to o.csv", "the column 'id' only names the rows"),
        ("predict {run} new.csv --target total --to new.csv", "new.csv is read; name another"),
        ("impute {run} new.csv --to ./new.csv", "new.csv is read; name another"),
        ("edit {run} new.csv --from 0.5 --to new.csv", "new.csv is read; name another"),
        ("score {run} new.csv --to new.csv", "new.csv is read; name another"),
        ("sample {run} --given-file new.csv --to new.csv", "new.csv is read; name another"),
    ],
)
def test_a_file_that_is_read_is_not_written_over(
    sfumato: Command, folder: Path, line: str, reason: str
) -> None:
    Path("new.csv").write_text("postage\n3\n4\n")
    code, _, err = sfumato(line.format(run=folder / "run"))
    assert (code, reason in err) == (2, True), err
    assert Path("new.csv").read_text() == "postage\n3\n4\n"
