"""Results are replaced only on request, only when they are ours, and never half written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from synthgen.errors import UsageError
from synthgen.outputs import atomic_write, check_output, prepare_output


def test_a_new_folder_is_made_and_may_be_prepared_again_while_empty(tmp_path: Path) -> None:
    prepare_output(tmp_path / "a" / "b")
    prepare_output(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_an_existing_result_needs_force_or_resume(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_output(out)
    (out / "result").write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        prepare_output(out)
    prepare_output(out, resume=True)
    assert (out / "result").read_text() == "precious"
    prepare_output(out, force=True)
    assert not (out / "result").exists()


def test_force_never_deletes_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine: 1")
    with pytest.raises(UsageError, match="was not made by synthgen"):
        prepare_output(tmp_path, force=True)
    assert (tmp_path / "config.yaml").exists()


def test_checking_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_output(out)
    (out / "result").touch()
    check_output(out, force=True)
    assert (out / "result").exists()
    check_output(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_force_and_resume_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of them"):
        check_output(tmp_path, force=True, resume=True)


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_going_on_in_a_folder_of_somebody_else_does_not_make_it_ours(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_text("precious")
    prepare_output(tmp_path, resume=True)
    with pytest.raises(UsageError, match="was not made by synthgen"):
        prepare_output(tmp_path, force=True)
    assert (tmp_path / "photo.png").read_text() == "precious"


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
def test_files_get_the_mode_that_the_umask_says_and_the_umask_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda mask: pytest.fail("other threads would see it"))
            atomic_write(tmp_path / "file", b"data")
    finally:
        assert os.umask(before) == 0o027
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
