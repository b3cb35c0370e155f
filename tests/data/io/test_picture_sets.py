"""Objects of Hugging Face's `datasets` as people have them, and Parquet files that it writes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sfumato.config import DataSettings
from sfumato.data.images import Images
from sfumato.data.source import read_source, take_source
from sfumato.data.table import DataTable
from sfumato.errors import DataError

datasets: Any  # imported for the tests alone: to collect the others need not wait for it

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)
SHOWN = [Image.fromarray(each) for each in PIXELS]
HERE = DataSettings(source="array")


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    global datasets
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()


def data_set(pictures: list[Any] = SHOWN, **columns: tuple[list[Any], Any]) -> Any:
    features = {"image": datasets.Image()} | {name: kind for name, (_, kind) in columns.items()}
    values = {"image": pictures} | {name: each for name, (each, _) in columns.items()}
    return datasets.Dataset.from_dict(values, datasets.Features(features))


def named(labels: list[Any], *names: str) -> tuple[list[Any], Any]:
    return labels, datasets.ClassLabel(names=list(names))


def taken(source: Any, **settings: Any) -> Images:
    found = take_source(source, HERE.model_copy(update=settings))[0]
    assert isinstance(found, Images)
    return found


def same(found: Images) -> None:
    np.testing.assert_array_equal(found.pixels, PIXELS)


def classes(found: Images) -> list[str | None]:
    assert found.labels is not None
    return [None if k < 0 else found.classes[k] for k in found.labels]


def test_pictures_come_in_their_order_with_the_names_of_their_classes() -> None:
    many = [Image.new("L", (4, 4), 10 * k) for k in range(12)]
    found = taken(data_set(many, label=named([k % 2 for k in range(12)], "no", "yes")), labels=True)
    assert found.pixels[:, 0, 0, 0].tolist() == [10 * k for k in range(12)]
    assert classes(found) == ["no", "yes"] * 6
    assert found.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("labels", "kind", "known"),
    [
        ([0, -1, 1, 0], lambda: datasets.ClassLabel(names=["a", "b"]), ["a", None, "b", "a"]),
        ([0, None, 1, 0], lambda: datasets.Value("int64"), ["0", None, "1", "0"]),
        (["x10", "x2", "x10", None], lambda: datasets.Value("string"), ["x10", "x2", "x10", None]),
        (
            [[0, 1], [1, 0], [0, 1], [0, 1]],
            lambda: datasets.List(datasets.Value("int64")),
            list("1011"),
        ),
        ([0.0, 1.0, 2.0, 1.0], lambda: datasets.Value("float64"), list("0121")),
    ],
)
def test_labels_of_many_forms_are_classes(labels: Any, kind: Any, known: Any) -> None:
    source = data_set(label=(labels, kind()))
    assert classes(taken(source, labels=True)) == known
    same(taken(source))


def test_lists_of_one_class_have_its_name(tmp_path: Path) -> None:
    kind = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    source = data_set(species=([[2], [0], [2], [0]], kind))
    source.to_parquet(tmp_path / "x.parquet")
    parquet = read_source(DataSettings(source=str(tmp_path / "x.parquet"), labels=True))[0]
    assert isinstance(parquet, Images)
    for found in (taken(source, labels=True), taken(source, labels="species"), parquet):
        assert classes(found) == ["c", "a", "c", "a"]
    # Not one-hot: the first picture has the classes a and b.
    several = data_set(label=([[0, 1], [1, 0], [0, 1], [1, 0]], kind))
    with pytest.raises(DataError, match="several labels"):
        taken(several, labels=True)


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        ([[0], [0, 1], [], [1]], lambda: datasets.List(datasets.Value("int64")), "several labels"),
        ([0.5, 1.25, 0.5, 3.0], lambda: datasets.Value("float64"), "0.5 is a measure and no class"),
        ([1, 1, 7, 0], lambda: datasets.Value("int64"), None),
    ],
)
def test_labels_that_are_none_are_refused_if_they_are_asked_for(
    labels: Any, kind: Any, said: str | None
) -> None:
    source = data_set(label=(labels, kind()))
    same(taken(source))
    if said is None:
        assert taken(source, labels=True).classes == ("0", "1", "7")
        return
    with pytest.raises(DataError, match=said):
        taken(source, labels=True)


def test_one_of_several_columns_of_classes_is_chosen_by_its_name() -> None:
    source = data_set(
        fine_label=named([0, 1, 2, 0], "oak", "elm", "ant"),
        coarse_label=named([0, 0, 1, 0], "tree", "insect"),
    )
    assert classes(taken(source, labels="coarse_label")) == ["tree", "tree", "insect", "tree"]
    with pytest.raises(
        DataError, match=r"data\.labels='fine_label' or data\.labels='coarse_label'"
    ):
        taken(source, labels=True)
    with pytest.raises(DataError, match="no column 'fine'; it has image, fine_label, coarse_label"):
        taken(source, labels="fine")


def test_formats_and_streams_make_no_difference(tmp_path: Path) -> None:
    source = data_set(label=named([0, 1, 0, 1], "no", "yes"))
    others = [
        source.with_format("torch"),
        source.with_format("numpy"),
        source.cast_column("image", datasets.Image(decode=False)),
        source.to_iterable_dataset(),
        source.rename_column("image", "photo"),
        datasets.DatasetDict(train=source, test=source.select([0])),
    ]
    for other in others:
        found = taken(other, labels=True)
        same(found)
        assert classes(found) == ["no", "yes", "no", "yes"]
    assert found.left_out == ("the splits test",)
    for k, each in enumerate(SHOWN):
        each.save(tmp_path / f"{k}.png")
    same(taken(data_set([str(tmp_path / f"{k}.png") for k in range(4)])))


def test_a_stream_without_types_is_read_as_it_comes() -> None:
    def rows() -> Any:
        for k, each in enumerate(SHOWN):
            yield {"image": each, "label": k % 2}

    found = taken(datasets.IterableDataset.from_generator(rows), labels=True)
    same(found)
    assert classes(found) == ["0", "1", "0", "1"]


def test_arrays_in_a_column_are_pictures() -> None:
    features = datasets.Features({"image": datasets.Array3D((6, 8, 3), "uint8")})
    same(taken(datasets.Dataset.from_dict({"image": PIXELS.tolist()}, features)))
    features = datasets.Features({"image": datasets.Array3D((3, 6, 8), "uint8")})
    first = np.moveaxis(PIXELS, 3, 1).tolist()
    found = taken(datasets.Dataset.from_dict({"image": first}, features))
    same(found)
    assert found.notes == ("axes (n, channels, height, width)",)
    nested = datasets.Dataset.from_dict({"image": PIXELS.tolist()})
    with pytest.raises(DataError, match=r"are int64 of .* from 0 to 255: data\.range=\[0,255\]"):
        taken(nested)
    np.testing.assert_array_equal(taken(nested, range=(0, 255)).pixels, PIXELS)


def test_a_missing_picture_is_named_and_can_be_left_out() -> None:
    source = data_set([SHOWN[0], None, *SHOWN[2:]], label=named([0, 1, 1, 0], "a", "b"))
    with pytest.raises(DataError, match=r"1 of 4 .* missing: picture 2\. Do: .*skip_bad"):
        taken(source, labels=True)
    found = taken(source, labels=True, skip_bad=True)
    np.testing.assert_array_equal(found.pixels, PIXELS[[0, 2, 3]])
    assert classes(found) == ["a", "b", "a"]
    assert found.left_out == ("picture 2: missing",)


def test_what_cannot_be_learned_from_is_refused_in_one_line() -> None:
    source = data_set()
    for wrong, said in (
        (source.select([]), "the data set is empty"),
        (datasets.DatasetDict(a=source, b=source), "has the parts a, b; give one of them"),
        (datasets.Dataset.from_dict({"image": [SHOWN[:2]] * 3}), r"got shape \(3, 2, 6, 8, 3\)"),
        (data_set([SHOWN[0], SHOWN[1].resize((9, 9))]), r"settings=\{'data.size': 32\}"),
    ):
        with pytest.raises(DataError, match=said) as refused:
            taken(wrong)
        assert "\n" not in str(refused.value)


def test_size_and_background_hold_as_they_do_for_files() -> None:
    clear = [Image.new("RGBA", (6, 6), (0, 0, 0, 0))] * 3
    assert set(taken(data_set(clear), background="#808080").pixels.ravel()) == {128}
    assert taken(data_set(), size=5).pixels.shape == (4, 5, 5, 3)


def test_values_of_sixteen_bits_stay() -> None:
    deep = np.array([[0, 300, 4095]], np.uint16)
    found = taken(data_set([Image.fromarray(deep)] * 2), range=(0, 4095))
    np.testing.assert_array_equal(found.pixels[0, :, :, 0], deep)


def test_a_parquet_file_of_pictures_is_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    data_set(label=named([0, 1, 1, -1], "no", "yes")).to_parquet(path)
    found = read_source(DataSettings(source=str(path), labels=True))[0]
    assert isinstance(found, Images)
    same(found)
    assert classes(found) == ["no", "yes", "yes", None]
    found = read_source(DataSettings(source=str(path), size=5))[0]
    assert isinstance(found, Images)
    assert (found.pixels.shape, found.labels) == ((4, 5, 5, 3), None)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("large", [False, True])
def test_bytes_of_pictures_are_pictures_whatever_their_column_is_called(
    tmp_path: Path, large: bool
) -> None:
    kind = datasets.Value("large_binary" if large else "binary")
    features = {"jpg": kind, "cls": datasets.Value("int64"), "__key__": kind}
    values = {"jpg": [_png(each) for each in PIXELS], "cls": [0, 2, 2, 0], "__key__": [b"key"] * 4}
    source = datasets.Dataset.from_dict(values, datasets.Features(features))
    source.to_parquet(tmp_path / "x.parquet")  # also as others write it, without their types
    pq.write_table(pa.table(values), tmp_path / "plain.parquet")
    found = [taken(source, labels=True), taken(source.to_iterable_dataset(), labels=True)]
    for name in ("x", "plain"):
        read = DataSettings(source=str(tmp_path / f"{name}.parquet"), labels=True)
        found.append(read_source(read)[0])  # type: ignore[arg-type]
    for each in found:
        same(each)
        assert classes(each) == ["0", "2", "2", "0"]


def test_one_of_several_columns_of_pictures_is_not_chosen(tmp_path: Path) -> None:
    files = [_png(each) for each in PIXELS]
    for columns in ({"before": files, "after": files}, {"mask": SHOWN, "photo": SHOWN}):
        source = datasets.Dataset.from_dict(columns)
        source.to_parquet(tmp_path / "x.parquet")
        said = rf"2 columns of pictures \({', '.join(columns)}\)"
        with pytest.raises(DataError, match=said):
            taken(source)
        with pytest.raises(DataError, match=said):
            _read(tmp_path / "x.parquet")
    source.rename_column("photo", "image").to_parquet(tmp_path / "y.parquet")
    same(_read(tmp_path / "y.parquet"))


def _read(path: Path) -> Images:
    found = read_source(DataSettings(source=str(path)))[0]
    assert isinstance(found, Images)
    return found


def test_a_column_of_bytes_beside_the_pictures_is_not_taken_for_them(tmp_path: Path) -> None:
    small = [_png(each[:2, :2]) for each in PIXELS]
    whole = [{"bytes": _png(each), "path": None} for each in PIXELS]
    pq.write_table(pa.table({"small": small, "scan": whole}), tmp_path / "x.parquet")
    same(_read(tmp_path / "x.parquet"))


def test_other_bytes_are_no_pictures(tmp_path: Path) -> None:
    pq.write_table(pa.table({"raw": [b"abc", b"def", b"ghi"]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="of type binary"):
        read_source(DataSettings(source=str(tmp_path / "x.parquet")))


def test_a_parquet_file_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    data_set().to_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)  # the head of the first page
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.parquet is truncated or damaged"):
        read_source(DataSettings(source=str(path)))


def test_a_repository_of_parquet_is_read_from_its_training_part(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    source = data_set(label=named([0, 1, 1, 0], "no", "yes"))
    for k in range(2):
        part = source.select([2 * k, 2 * k + 1])
        part.to_parquet(tmp_path / "data" / f"train-0000{k}-of-00002.parquet")
    source.to_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("what this is")
    found = read_source(DataSettings(source=str(tmp_path), labels=True))[0]
    assert isinstance(found, Images)
    same(found)
    assert classes(found) == ["no", "yes", "yes", "no"]
    assert found.left_out == ("what is to test with: test", "1 .md")


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        # As the branch refs/convert/parquet has them.
        (["train/0000", "train/0001", "test/0000"], ["what is to test with: test"]),
        (["train", "validation", "extra"],
         ["what is to test with: validation", "what lies beside train: extra"]),
        (["0000", "0001"], []),
        (["birds_train_0", "birds_train_1", "birds_val_0"], ["what is to test with: val"]),
    ],
)  # fmt: skip
def test_parts_of_parquet_are_known_by_their_folders_and_names(
    tmp_path: Path, names: list[str], left_out: list[str]
) -> None:
    source = data_set()
    for k, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        source.select([k]).to_parquet(tmp_path / f"{name}.parquet")
    found = read_source(DataSettings(source=str(tmp_path)))[0]
    assert isinstance(found, Images)
    train = [k for k, name in enumerate(names) if "train" in name or name.isdecimal()]
    np.testing.assert_array_equal(found.pixels, PIXELS[train])
    assert list(found.left_out) == left_out


def test_several_parts_of_parquet_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("birds-0", "fish-0", "fish-1"):
        data_set().to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="has the parts birds, fish; give one of them"):
        read_source(DataSettings(source=str(tmp_path)))


def test_a_data_set_without_pictures_is_a_table() -> None:
    table = datasets.Dataset.from_dict({"a": [1, 2, 3, 4], "b": list("xyxy")})
    others = [table.to_iterable_dataset(), datasets.DatasetDict(train=table, test=table)]
    for source in (table, *others):
        rows = take_source(source, HERE)[0]
        assert isinstance(rows, DataTable)
        assert rows["a"].values.tolist() == [1, 2, 3, 4]


def test_a_column_that_is_not_asked_for_is_not_decoded(tmp_path: Path) -> None:
    values = {"image": SHOWN, "mask": [str(tmp_path / "gone.png")] * 4}
    features = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    same(taken(datasets.Dataset.from_dict(values, features)))
    lost = datasets.Dataset.from_dict({"image": values["mask"]}).cast_column(
        "image", datasets.Image()
    )
    with pytest.raises(DataError, match=r"4 of 4 .* cannot read .*gone\.png"):
        taken(lost)


def test_content_is_decoded_as_a_file_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    file = io.BytesIO()
    Image.fromarray(np.rot90(PIXELS[0])).save(file, "PNG", exif=exif)
    cell = {"bytes": file.getvalue(), "path": None}
    np.testing.assert_array_equal(taken(data_set([cell, cell])).pixels[0], PIXELS[0])
