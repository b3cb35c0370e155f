"""Files are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from sfumato import atomic


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old and longer")
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "file.bin", b"new")
    assert names(tmp_path) == ["file.bin"]


def write_half(path: Path, error: BaseException) -> None:
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_writer_that_fails_leaves_the_old_content(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_half(path, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_a_reader_sees_the_old_content_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_the_temporary_name_keeps_folder_and_ending(tmp_path: Path) -> None:
    # Another folder might be another disk; many writers choose their format by the ending.
    with atomic.replacing(tmp_path / "picture.png") as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")


def test_a_writer_may_replace_the_temporary_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with atomic.replacing(path) as temporary:
        other = tmp_path / "other"
        other.write_bytes(b"moved")
        other.replace(temporary)
    assert path.read_bytes() == b"moved"
    assert names(tmp_path) == ["file.bin"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no handle for a folder")
def test_content_reaches_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    flush, move = os.fsync, Path.replace

    def noted_flush(handle: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        flush(handle)

    def noted_move(self: Path, target: Path) -> Path:
        events.append("move")
        return move(self, target)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(Path, "replace", noted_move)
    atomic.write_bytes(tmp_path / "file.bin", b"new")
    assert events == ["file", "move", "folder"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_new_file_has_the_mode_that_open_gives(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        atomic.write_bytes(tmp_path / "file.bin", b"new")
        assert os.umask(mask) == mask  # and the mask is as it was
    finally:
        os.umask(before)
    assert (tmp_path / "file.bin").stat().st_mode & 0o777 == mode


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(OSError, match="disk full") as raised:
        write_half(path, OSError(28, "disk full"))
    assert raised.value.filename == str(path)
    with pytest.raises(IsADirectoryError) as raised:
        atomic.write_bytes(tmp_path, b"new")
    assert raised.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as raised:
        atomic.write_bytes(tmp_path / "missing" / "file.bin", b"new")
    assert raised.value.filename == str(tmp_path / "missing" / "file.bin")


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="font") as raised:
        write_half(tmp_path / "file.bin", OSError(2, "font", "other"))
    assert raised.value.filename == "other"


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        atomic.write_bytes(tmp_path / "missing" / "file.bin", b"new")


def test_sha256_of_the_standards_example(tmp_path: Path) -> None:
    # FIPS 180-2, appendix B.1.
    (tmp_path / "abc").write_bytes(b"abc")
    assert atomic.sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
