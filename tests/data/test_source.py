"""The data sets that come with the package, against what is published of them."""

from importlib.resources import files

import numpy as np
import pytest

from sfumato import config
from sfumato.config import DataSettings
from sfumato.data.images import Images
from sfumato.data.source import DESCRIPTIONS, PICTURE_SETS, TABLE_SETS, read_source
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError
from sfumato.runs.fit import resolve


def test_penguins_are_those_of_palmer_station() -> None:
    # Counts and means of `summary(penguins)` in the R package (doi 10.5281/zenodo.3960218).
    table, _ = read_source(DataSettings(source="penguins"))
    assert isinstance(table, DataTable)
    assert len(table) == 344
    species, counts = np.unique(table["species"].values.astype(str), return_counts=True)
    assert dict(zip(species, counts, strict=True)) == {
        "Adelie": 152,
        "Chinstrap": 68,
        "Gentoo": 124,
    }
    means = {
        "bill_length_mm": 43.92,
        "bill_depth_mm": 17.15,
        "flipper_length_mm": 200.9,
        "body_mass_g": 4202,
    }
    for name, mean in means.items():
        assert float(f"{table[name].present.mean():.4g}") == mean
        assert table[name].missing.sum() == 2
    assert table["sex"].missing.sum() == 11


def test_the_table_is_part_of_the_package() -> None:
    assert (
        TABLE_SETS["penguins"].read_bytes() == (files("sfumato") / "data/penguins.csv").read_bytes()
    )


def test_digits_are_pictures_with_classes() -> None:
    pictures, _ = read_source(DataSettings(source="digits", labels=True))
    assert isinstance(pictures, Images)
    assert pictures.pixels.shape == (1797, 8, 8, 1)
    assert pictures.classes == tuple("0123456789")


def test_every_set_is_described_and_an_unknown_one_is_refused() -> None:
    assert set(DESCRIPTIONS) == {*TABLE_SETS, *PICTURE_SETS}
    with pytest.raises(ArgumentError, match="did you mean 'penguins'"):
        read_source(DataSettings(source="pengins"))


def test_the_preset_keeps_enough_rows_to_measure_by() -> None:
    # Trees with leaves of 20 rows learn from halves of two sets, of 40 rows or more.
    settings, data = resolve("penguins", {}, config.preset("table"))
    assert settings.network.name == "table-mlp"
    assert data.heldout is not None
    assert len(data.heldout) >= 40
    assert len(data.train) // 6 >= 40


@pytest.mark.parametrize("name", ["size", "labels", "background", "range", "frames", "channels"])
@pytest.mark.parametrize("source", ["moons", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}] * 9])
def test_settings_of_pictures_are_refused_for_other_data(name: str, source: object) -> None:
    asked = {"size": 8, "labels": True, "background": "black", "range": [0, 1]}
    asked |= {"frames": "first", "channels": "last"}
    with pytest.raises(ArgumentError, match=f"data.{name} is for pictures"):
        resolve(source, {f"data.{name}": asked[name]})
