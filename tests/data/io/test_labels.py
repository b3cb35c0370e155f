"""Which class a picture is of, in the forms in which sets are passed on."""

import csv
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sfumato.config import DataSettings
from sfumato.data.images import Images, PictureReading
from sfumato.data.io.images import read_images
from sfumato.data.io.labels import natural, numbered, training_part
from sfumato.data.source import read_source
from sfumato.errors import DataError

ASKED = PictureReading(labels=True)


def saved(folder: Path, *names: str) -> Path:
    """Pictures whose grey is 10 times their place."""
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 10 * k).save(folder / name)
    return folder


def by_grey(found: Images) -> dict[int, str | None]:
    """The class of each picture by its place in `saved`."""
    assert found.labels is not None
    names = [None if k < 0 else found.classes[k] for k in found.labels]
    return {
        int(grey) // 10: name for grey, name in zip(found.pixels[:, 0, 0, 0], names, strict=True)
    }


def test_names_are_in_the_order_of_people() -> None:
    names = ["10", "2", "a10b", "a9b", "B", "1", "01", "001", "x"]
    ordered = ["001", "01", "1", "2", "10", "B", "a9b", "a10b", "x"]
    for some in (names, names[::-1]):  # the same, in whatever order a file system has them
        assert sorted(some, key=natural) == ordered


@pytest.mark.parametrize(
    ("given", "labels", "classes"),
    [
        (np.array([[3], [0], [3]]), [1, 0, 1], ("0", "3")),
        (np.array([[0, 1.0], [1, 0], [0, 1]]), [1, 0, 1], ("0", "1")),
        (np.array([10, 2, 1], np.uint8), [2, 1, 0], ("1", "2", "10")),
        (np.array([True, False, True]), [1, 0, 1], ("False", "True")),
        (np.array([b"b", b"a", b"b"]), [1, 0, 1], ("a", "b")),
        (["b", None, ""], [0, -1, -1], ("b",)),
        ([1.0, float("nan"), -1], [0, -1, -1], ("1",)),
    ],
)
def test_classes_of_every_form(given: Any, labels: list[int], classes: tuple[str, ...]) -> None:
    numbers, names = numbered(given, 3)
    assert (numbers.tolist(), names) == (labels, classes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0, 1], "2 labels and 3 pictures"),
        (np.zeros((3, 4)), "several labels"),
        ([0.5, 1, 2], "0.5 is a measure and no class"),
    ],
)
def test_what_is_no_class_is_refused_with_its_reason(given: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        numbered(given, 3)
    for none in (7, "c"):
        with pytest.raises(DataError, match=f"the label '?{none}'? is none of the 2 classes"):
            numbered([none], 1, ("a", "b"))
    assert numbered(["b", 0, None], 3, ("a", "b"))[0].tolist() == [1, 0, -1]


def test_train_and_test_are_parts_and_no_classes(tmp_path: Path) -> None:
    place = saved(
        tmp_path / "x", "Train/cat/a.png", "Train/dog/a.png", "test/cat/b.png", "val/c.png"
    )
    found = read_images(place, ASKED)
    assert by_grey(found) == {0: "cat", 1: "dog"}
    assert found.left_out == ("what is to test with: test (1), val (1)",)
    (place / "test" / "cat" / "bad.png").write_text("no")  # nobody asks for it
    assert len(read_images(place)) == 2
    for names in (["train/a", "truck/b"], ["a", "train/b"], ["test/a", "trial/b"]):
        assert training_part(names, "x") == (set(names), [])
    with pytest.raises(DataError, match="x has the parts test, val; give one of them"):
        training_part(["test/a", "val/b"], "x")


@pytest.mark.parametrize(
    ("names", "learned", "left_out"),
    [
        (
            ["train/cat/a", "train/dog/a", "test/cat/a", "sample", "notes/a"],
            {0: "cat", 1: "dog"},
            ["what is to test with: test (1)", "what lies beside train: notes (1), sample.png (1)"],
        ),
        (
            ["train/cat/a", "train/dog/a", "test/a", "extra/a", "extra/b"],
            {0: "cat", 1: "dog"},
            ["what is to test with: test (1)", "what lies beside train: extra (2)"],
        ),
        (
            ["cat/train/a", "cat/test/a", "dog/train/a", "emu/a"],
            {0: "cat", 2: "dog"},
            ["what is to test with: test (1)", "what lies beside train: emu (1)"],
        ),
        (
            ["all/Training/cat/a", "all/Training/dog/a", "all/Testing/cat/a", "logo"],
            {0: "cat", 1: "dog"},
            ["what is to test with: Testing (1)", "what lies beside training: logo.png (1)"],
        ),
        (["cat/a", "dog/a", "logo"], {0: "cat", 1: "dog", 2: None}, []),
        (["train/cat/a", "train/dog/a", "logo"], {0: "cat", 1: "dog", 2: None}, []),
    ],
)
def test_what_lies_beside_parts_and_classes_is_in_none_of_them(
    tmp_path: Path, names: list[str], learned: dict[int, str | None], left_out: list[str]
) -> None:
    place = saved(tmp_path / "x", *(f"{name}.png" for name in names))
    found = read_images(place, ASKED)
    assert by_grey(found) == learned
    assert list(found.left_out) == left_out
    assert read_images(place).names == found.names  # the same, where nobody asks for classes
    with ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in sorted(place.rglob("*.png")):
            archive.write(file, file.relative_to(place))
    assert by_grey(read_images(tmp_path / "x.zip", ASKED)) == learned


def test_folders_that_are_learned_mixed_are_said(tmp_path: Path) -> None:
    found = read_images(saved(tmp_path, "images/1.png", "images/2.png", "masks/1.png"))
    assert found.notes == ("2 in images, 1 in masks (data.labels=true makes them classes)",)
    found = read_images(saved(tmp_path / "new", "images/1.png", "images/2.png", "1.png"))
    assert found.notes == ("2 in images, 1 in no folder",)


@pytest.mark.parametrize(
    ("mask", "role"),
    [
        ("{}.mask.png", ".mask.png"),
        ("{}_mask.png", "_mask.png"),
        ("{}_Mask_1.TIF", "_mask.tif"),
        ("{}-seg.gif", "-seg.gif"),
        ("{}_segmentation.png", "_segmentation.png"),
    ],
)
def test_masks_beside_pictures_are_set_aside_and_counted(
    tmp_path: Path, mask: str, role: str
) -> None:
    place = tmp_path / "x"
    for k in range(3):
        saved(place / "cat", f"{k} (a.b).jpg")
        Image.new("1", (4 + k, 4), 1).save(place / "cat" / mask.format(f"{k} (a.b)"))
    (place / "cat" / mask.format("0 (a.b)")).write_bytes(b"cut off")  # which nobody asks for
    with ZipFile(tmp_path / "x.zip", "w") as archive, tarfile.open(tmp_path / "x.tar", "w") as tar:
        for file in place.rglob("*.*"):
            archive.write(file, file.relative_to(place))
            tar.add(file, file.relative_to(place).as_posix().replace(" (a.b)", ""))
    for source in (place, tmp_path / "x.zip", tmp_path / "x.tar"):
        found = read_images(source)
        assert [name.rpartition(".")[2] for name in found.names] == ["jpg"] * 3
        assert found.left_out == (f"3 {role} beside other pictures",)
    for file in place.rglob("*.jpg"):
        file.unlink()
    masks = read_images(place, PictureReading(size=4, skip_bad=True))
    assert (len(masks), len(masks.left_out)) == (2, 1)  # masks alone are pictures


def test_masks_beside_scans_are_set_aside(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    for k in range(2):
        for name in (f"{k}.nii.gz", f"{k}_seg.nii.gz"):
            slices = np.full((4, 4, 3), 10 * k + 5 * ("seg" in name), np.uint8)
            nibabel.save(nibabel.Nifti1Image(slices, np.eye(4)), tmp_path / name)
    found = read_images(tmp_path)
    assert set(found.pixels.ravel().tolist()) == {0, 10}
    assert found.left_out == ("2 _seg.nii.gz beside other pictures",)


def test_what_only_looks_like_a_mask_is_learned(tmp_path: Path) -> None:
    names = ["0.png", "1_mask.png", "mask.png", "unmask.png", "0.edited.png", "a/0_mask.png"]
    names += ["0masks.png", "0_masked.png"]
    assert len(read_images(saved(tmp_path, *names))) == len(names)


def test_a_mask_of_the_part_to_test_with_is_of_that_part(tmp_path: Path) -> None:
    place = saved(
        tmp_path, "train/0.png", "train/0_mask.png", "test/0.png", "test/0_mask.png", "train/1.png"
    )
    assert read_images(place).left_out == (
        "1 _mask.png beside other pictures",
        "what is to test with: test (2)",
    )


def test_a_table_beside_the_pictures_says_the_classes(tmp_path: Path) -> None:
    place = saved(tmp_path, "in/1.jpg", "in/2.jpg", "in/3.jpg", "in/4.jpg")
    with (place / "labels.csv").open("w", newline="") as file:  # as Kaggle has it: without endings
        csv.writer(file).writerows(
            [["id", "breed"], ["3", "poodle"], ["1", "boxer"], ["2", "boxer"]]
        )
    found = read_images(place, ASKED)
    assert by_grey(found) == {0: "boxer", 1: "boxer", 2: "poodle", 3: None}
    assert found.notes == ("classes by labels.csv, column 'breed'",)
    assert found.left_out == ("1 .csv",)
    (place / "labels.csv").unlink()
    rows = [
        {"file_name": "in/1.jpg", "text": "one", "label": 7, "size": "s"},
        {"file_name": "in/4.jpg", "text": "four", "label": 12, "size": "l"},
        {"file_name": "in/9.jpg", "text": "nine", "label": 5, "size": "l"},
    ]
    (place / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))  # as imagefolder has it
    found = read_images(place, ASKED)
    assert by_grey(found) == {0: "7", 1: None, 2: None, 3: "12"}
    assert "1 of its rows name no picture here" in found.notes[0]
    by_size = read_images(place, PictureReading(labels="size"))
    assert by_grey(by_size) == {0: "s", 1: None, 2: None, 3: "l"}
    with pytest.raises(
        DataError, match=r"no column 'sizes' .*metadata\.jsonl has text, label, size"
    ):
        read_images(place, PictureReading(labels="sizes"))
    (place / "metadata.jsonl").write_text("{")
    with pytest.raises(DataError, match=r"metadata\.jsonl cannot be read"):
        read_images(place, ASKED)
    assert read_images(place).labels is None  # nobody asks for it


@pytest.mark.parametrize("name", ["{}.JPG", "/home/me/{}.jpg", "C:\\cats\\{}.jpg", "train/{}.jpg"])
def test_a_table_that_names_no_picture_is_not_passed_over(tmp_path: Path, name: str) -> None:
    place = saved(tmp_path, "0.jpg", "1.jpg")
    rows = [{"file": name.format(k), "class": "ab"[k]} for k in range(2)]
    pd.DataFrame(rows).to_csv(place / "labels.csv", index=False)
    first = re.escape(repr(name.format(0)))
    for asked in (ASKED, PictureReading(labels="class")):
        with pytest.raises(
            DataError, match=f"labels.csv names no picture here: it has {first}, .* '0.jpg'"
        ):
            read_images(place, asked)
    for k in range(2):
        (place / f"{k}.jpg").rename(saved(place / "cd"[k], "x.jpg") / "y.jpg")
    found = read_images(place, ASKED)
    assert found.classes == ("c", "d")
    assert found.notes[0].startswith("classes by folders: labels.csv names no picture here: ")


def test_a_table_may_write_paths_as_windows_does(tmp_path: Path) -> None:
    place = saved(tmp_path, "in/0.jpg", "in/1.jpg", "out/0.jpg")
    rows = {"class": ["a", "b", "c"], "file": [".\\in\\0.jpg", "in\\1.jpg", " out/0.jpg"]}
    pd.DataFrame(rows).to_csv(place / "labels.csv", index=False)
    assert by_grey(read_images(place, ASKED)) == {0: "a", 1: "b", 2: "c"}


def test_a_table_without_a_column_of_classes_is_named(tmp_path: Path) -> None:
    place = saved(tmp_path, "0.jpg", "1.jpg")
    for text, said in (
        ("file,width,height\n0,4,4\n1,4,4\n", r"has width, height \(data\.labels=COLUMN takes one"),
        ("file\n0\n1\n", "has no classes"),
        ("file,class\n", "names no picture here: it has no rows"),
    ):
        (place / "labels.csv").write_text(text)
        with pytest.raises(DataError, match=rf"no classes to learn: labels\.csv {said}"):
            read_images(place, ASKED)
    (place / "labels.csv").unlink()
    for rows in ("[1, 2]\n[3, 4]", "{}"):
        (place / "metadata.jsonl").write_text(rows)
        with pytest.raises(DataError, match=r"metadata\.jsonl (cannot be read|names no picture)"):
            read_images(place, ASKED)


def test_a_table_speaks_of_the_pictures_below_it_alone(tmp_path: Path) -> None:
    place = saved(tmp_path, "train/0.png", "train/1.png", "test/0.png", "test/1.png")
    for part, classes in (("train", "ab"), ("test", "ba")):
        rows = [{"file_name": f"{k}.png", "label": classes[k]} for k in range(2)]
        (place / part / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_images(place, ASKED)
    assert by_grey(found) == {0: "a", 1: "b"}
    assert found.notes == ("classes by train/metadata.jsonl, column 'label'",)


def test_a_table_without_names_of_columns_is_refused(tmp_path: Path) -> None:
    place = saved(tmp_path, "1.png", "2.png")
    (place / "labels.csv").write_text("1.png,cat\n2.png,dog\n")
    with pytest.raises(DataError, match=r"labels\.csv has no first line of names"):
        read_images(place, ASKED)
    (place / "labels.csv").write_text("file,class\n1.png,cat\n2.png,dog\n1.png,cat\n1.png,dog\n")
    with pytest.raises(DataError, match=r"labels\.csv has several classes for 1\.png"):
        read_images(place, ASKED)


def test_a_name_is_first_that_of_its_own_path(tmp_path: Path) -> None:
    place = saved(tmp_path, "1.png", "a/1.png", "a/2.png")
    (place / "labels.csv").write_text("file,class\n1.png,x\na/1.png,y\n2,z\n")
    assert by_grey(read_images(place, ASKED)) == {0: "x", 1: "y", 2: "z"}


def test_a_column_of_classes_is_not_guessed_among_several(tmp_path: Path) -> None:
    place = saved(tmp_path, "a/1.png", "b/2.png")
    (place / "metadata.csv").write_text("file_name;caption;author\na/1.png;x;y\nb/2.png;z;y\n")
    assert read_images(place, ASKED).classes == ("a", "b")  # of the folders, then
    assert read_images(place, PictureReading(labels="author")).classes == ("y",)


def test_the_samples_of_webdataset_have_their_classes_beside_them(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shades = [np.full((4, 4, 3), 10 * k, np.uint8) for k in range(4)]

    def written(name: str, **parts: Any) -> Images:
        with webdataset.TarWriter(str(tmp_path / name)) as file:
            for k, each in enumerate(shades):
                of_sample = {ending.replace("_", "."): value[k] for ending, value in parts.items()}
                file.write({"__key__": f"part/{k:03d}", "png": each, **of_sample})
        return read_images(tmp_path / name, ASKED)

    mask = [255 - each for each in shades]
    found = written("cls.tar", cls=[10, 2, 2, 10], seg_png=mask)
    assert by_grey(found) == {0: "10", 1: "2", 2: "2", 3: "10"}
    assert found.classes == ("2", "10")
    assert found.left_out == ("4 .seg.png beside other pictures", "4 .cls")
    found = written("json.tar", json=[{"label": "a"}, {"label": "b"}, {"other": 1}, {"label": "a"}])
    assert by_grey(found) == {0: "a", 1: "b", 2: None, 3: "a"}
    assert found.notes == ("classes by the file beside each picture",)


def test_files_beside_pictures_without_a_class_are_named(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    place = tmp_path / "x.tar"
    with webdataset.TarWriter(str(place)) as file:
        for k in range(3):
            pixels = np.full((4, 4, 3), 10 * k, np.uint8)
            file.write(
                {"__key__": f"{k}", "png": pixels, "json": {"caption": "a", "sex": "mf"[k % 2]}}
            )
    has = r"0\.json has caption, sex \(data\.labels=NAME takes one\)"
    with pytest.raises(DataError, match=f"no classes to learn: {has}"):
        read_images(place, ASKED)
    with pytest.raises(DataError, match=f"no column 'age' of classes for these pictures: {has}"):
        read_images(place, PictureReading(labels="age"))
    assert by_grey(read_images(place, PictureReading(labels="sex"))) == {0: "m", 1: "f", 2: "m"}


def test_text_that_is_not_utf_8_beside_pictures_is_read(tmp_path: Path) -> None:
    place = saved(tmp_path, "0.jpg", "1.jpg")
    for k in range(2):
        (place / f"{k}.json").write_bytes('{"caption": "café"}'.encode("latin-1"))
    with pytest.raises(DataError, match=r"no classes to learn: 0\.json has caption "):
        read_images(place, ASKED)


def test_shards_may_each_count_from_0(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    for shard in range(3):
        with webdataset.TarWriter(str(tmp_path / f"train-{shard}.tar")) as file:
            for k in range(2):
                pixels = np.full((4, 4, 3), 10 * (2 * shard + k), np.uint8)
                sample = {"__key__": f"a/{k}", "png": pixels, "mask.png": pixels, "cls": shard}
                file.write(sample)
    found = read_images(tmp_path, ASKED)
    assert by_grey(found) == {k: str(k // 2) for k in range(6)}
    assert found.left_out == ("6 .mask.png beside other pictures", "6 .cls")
    assert sorted(found.names)[:2] == ["a/0.png", "a/1.png"]
    assert read_images(tmp_path).notes == ()  # their names are no folders


def test_a_table_beside_an_archive_says_the_classes(tmp_path: Path) -> None:
    place = saved(tmp_path / "in", "train/0.jpg", "train/1.jpg", "test/0.jpg")
    for part in ("train", "test"):
        with ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            for file in sorted((place / part).iterdir()):
                archive.write(file, file.relative_to(place))
    shutil.rmtree(place)
    (tmp_path / "labels.csv").write_text("id,breed\n0,pug\n1,husky\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "labels.csv").write_text("id,breed\n0,none\n1,none\n")
    found = read_images(tmp_path, ASKED)
    assert by_grey(found) == {0: "pug", 1: "husky"}
    assert found.left_out == ("what is to test with: test", "2 .csv")


def test_pictures_behind_a_link_are_not_passed_over_for_an_archive(tmp_path: Path) -> None:
    saved(tmp_path / "there", "0.png", "1.png")
    place = tmp_path / "here"
    place.mkdir()
    (place / "linked").symlink_to(tmp_path / "there", target_is_directory=True)
    with ZipFile(place / "more.zip", "w") as archive:
        archive.write(tmp_path / "there" / "0.png", "2.png")
    found = read_images(place)
    assert (found.names, found.left_out) == (["linked/0.png", "linked/1.png"], ("1 .zip",))


def test_shards_of_webdataset_are_one_set(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    place = tmp_path / "x"
    for part, first, count in (("train", 0, 7), ("val", 7, 2)):
        (place / part).mkdir(parents=True)
        pattern = str(place / part / f"{part}-%d.tar")
        with webdataset.ShardWriter(pattern, maxcount=2, verbose=0) as file:
            for k in range(first, first + count):
                pixels = np.full((4, 4, 3), 10 * k, np.uint8)
                file.write({"__key__": f"{k:03d}", "png": pixels, "cls": k % 2})
    (place / "README.md").write_text("what this is")
    assert len(list(place.rglob("*.tar"))) == 5
    found = read_images(place, ASKED)
    assert by_grey(found) == {k: str(k % 2) for k in range(7)}
    assert found.left_out == ("7 .cls", "what is to test with: val", "1 .md")
    last = place / "train" / "train-3.tar"
    content = last.read_bytes()
    last.write_bytes(content[:700])
    with pytest.raises(DataError, match=r"cannot read .*train-3\.tar"):
        read_images(place)
    last.write_bytes(content)
    Image.new("L", (4, 4)).save(place / "one.png")  # pictures, and archives beside them
    found = read_images(place)
    assert (found.names, found.left_out) == (["one.png"], ("5 .tar, 1 .md",))
    (place / "one.png").unlink()
    shutil.rmtree(place / "train")
    with webdataset.TarWriter(str(place / "birds-0.tar")) as file:
        file.write({"__key__": "1", "png": pixels})
    with pytest.raises(DataError, match="has the parts birds, val; give one of them"):
        read_images(place)


def test_labels_that_are_not_asked_for_are_not_looked_at(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    for labels in (np.zeros((3, 1)), np.array([0.5, 1, 2]), np.array(["a", "b", "c"]), np.zeros(7)):
        np.savez(tmp_path / "x.npz", pixels=pixels, labels=labels)
        found = read_source(DataSettings(source=str(tmp_path / "x.npz")))[0]
        assert isinstance(found, Images)
        assert (len(found), found.labels) == (3, None)
