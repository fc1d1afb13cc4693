"""The files of a folder, and of nowhere else."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from django_wp_ai.rag.sources import folder
from django_wp_ai.rag.sources.base import SourceFailed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "content"
    (root / "b" / "deep").mkdir(parents=True)
    (root / "a.md").write_text("# A")
    (root / "b" / "deep" / "c.TXT").write_text("c")
    return root


def names(root: Path) -> list[str]:
    return [document.source_id for document in folder.read(root)]


def test_files_come_with_their_path_bytes_and_time(root: Path) -> None:
    os.utime(root / "a.md", (0, 1_700_000_000))
    first, second = folder.read(root)
    assert (first.source_id, first.title, first.filename, first.data) == ("a.md", "a", "a.md", b"# A")
    assert first.modified_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (second.source_id, second.mime, second.post_type) == ("b/deep/c.TXT", "text/plain", "file")


def test_hidden_and_empty_files_and_other_suffixes_are_left_out(root: Path) -> None:
    (root / ".secret.md").write_text("x")
    (root / ".git").mkdir()
    (root / ".git" / "x.md").write_text("x")
    (root / "empty.md").touch()
    (root / "run.exe").write_bytes(b"MZ")
    (root / "no suffix").write_text("x")
    assert names(root) == ["a.md", "b/deep/c.TXT"]
    assert [document.source_id for document in folder.read(root, suffixes=[".EXE"])] == ["run.exe"]


def test_links_out_of_the_folder_are_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.md").write_text("secret")
    (root / "file.md").symlink_to(tmp_path / "outside" / "secret.md")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "broken.md").symlink_to(tmp_path / "nowhere")
    (root / "same.md").symlink_to(root / "a.md")
    assert names(root) == ["a.md", "b/deep/c.TXT", "same.md"]


def test_a_link_to_a_folder_above_does_not_go_round_for_ever(root: Path) -> None:
    (root / "b" / "again").symlink_to(root)
    (root / "b" / "self").symlink_to(root / "b")
    assert names(root) == ["a.md", "b/deep/c.TXT"]


def test_a_folder_that_is_a_link_itself_is_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert names(tmp_path / "link") == ["a.md", "b/deep/c.TXT"]


def test_what_is_too_large_is_left_out_and_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "large.md").write_bytes(b"x" * 101)
    (root / "right.md").write_bytes(b"x" * 100)
    found = [document.source_id for document in folder.read(root, max_bytes=100)]
    assert found == ["a.md", "b/deep/c.TXT", "right.md"]
    assert "large.md" in caplog.text


def test_a_pipe_is_no_file(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    assert names(root) == ["a.md", "b/deep/c.TXT"]


def test_names_that_are_no_utf8_can_be_stored(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9.md")).write_text("x")
    found = list(folder.read(root))
    assert [document.source_id for document in found if "caf" in document.source_id] == ["caf\ufffd.md"]


def test_a_path_too_long_for_an_id_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = root / ("x" * 200) / ("y" * 60)
    deep.mkdir(parents=True)
    (deep / "z.md").write_text("x")
    assert names(root) == ["a.md", "b/deep/c.TXT"]
    assert "too long" in caplog.text


@pytest.mark.parametrize("name", ["nowhere", "content/a.md"])
def test_what_is_no_folder_is_refused_at_once(root: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceFailed) as refused:
        folder.read(tmp_path / name)
    assert refused.value.reason == "no_folder"
