"""A data folder is only ever one of ours, held by one platform, and without anything for others to read."""

import os
import stat
from pathlib import Path

import pytest

from serve.platform.errors import UserError
from serve.platform.folder import DataFolder


def test_makes_everything_and_makes_it_again(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new" / "data")
    for _ in range(2):
        folder.make()
        assert folder.exists()
    for private in (folder.secrets_dir, folder.run_dir, folder.logs_dir):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_an_empty_folder_of_the_user_s_becomes_ours(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.make()
    assert folder.exists()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder but a file"):
        DataFolder(tmp_path / "file").make()


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        DataFolder(tmp_path / "file" / "data").make()


def test_somebody_else_s_folder_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    folder = DataFolder(tmp_path)
    with pytest.raises(UserError, match="not empty and not a data folder"):
        folder.make()
    with pytest.raises(UserError, match="there is no platform"):
        folder.remove()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"cannot be used: .*Permission denied"):
        DataFolder(tmp_path / "data").make()
    tmp_path.chmod(0o700)


def test_two_cannot_hold_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.make()
    assert not folder.is_held()
    with folder.held("busy"):
        assert folder.is_held()
        with pytest.raises(UserError, match="busy"), DataFolder(tmp_path).held("busy"):
            pass
    assert not folder.is_held()


def test_is_not_deleted_while_held(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    with folder.held("busy"), pytest.raises(UserError, match="a platform runs"):
        folder.remove()
    folder.remove()
    assert not folder.path.exists()
