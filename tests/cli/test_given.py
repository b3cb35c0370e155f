"""Conditions on the command line whose names and texts are hard to write there."""

import shlex
from pathlib import Path

import numpy as np
import pytest

import sfumato as package
from command_line import Command
from fitted import SHORT

pd = pytest.importorskip("pandas")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = ("", "x", 'c="d"', '"quoted"')


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.choice(TEXTS, 200) for name in ("a=b", '"q')})
    frame["x"] = rng.normal(size=200)
    folder: Path = tmp_path_factory.mktemp("strange") / "run"
    package.fit(frame, out=folder, settings=SHORT, quiet=True)
    return folder


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ('"a=b"=x', "a=b", "x"),
        ('"a=b"=""', "a=b", ""),
        ('"a\\u003db"="c=\\"d\\""', "a=b", 'c="d"'),
        ('"a=b"=c="d"', "a=b", 'c="d"'),  # a value needs no quotes for this
        (r'"a=b"="\"quoted\""', "a=b", '"quoted"'),
        ('"q=x', '"q', "x"),  # not JSON, and taken as it is
    ],
)
def test_names_with_signs_of_equality_and_empty_text_are_given_in_quotes(
    sfumato: Command, strange: Path, given: str, name: str, value: str
) -> None:
    line = f"sample {strange} -n 5 --to new.parquet --given {shlex.quote(given)} --quiet"
    assert sfumato(line) == (0, "", "")
    assert pq.read_table("new.parquet")[name].to_pylist() == [value] * 5


def test_a_condition_without_a_name_is_one_line(sfumato: Command, strange: Path) -> None:
    for given in ("=x", "ab"):
        code, _, err = sfumato(f"sample {strange} --to new.parquet --given {shlex.quote(given)}")
        assert code == 2
        assert given in err
        assert err.count("\n") == 1
