"""The files below a folder."""

from __future__ import annotations

import logging
import mimetypes
import os
import stat
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django_wp_ai.rag.sources.base import SourceDocument, SourceFailed, clean

SUFFIXES: Final = frozenset(
    {".csv", ".docx", ".htm", ".html", ".markdown", ".md", ".odt", ".pdf", ".rtf", ".text", ".txt", ".tsv"}
)
MAX_FILE_BYTES: Final = 50 * 1024 * 1024
MAX_SOURCE_ID_CHARS: Final = 255
logger = logging.getLogger(__name__)


def read(
    path: str | os.PathLike[str], *, suffixes: Collection[str] = SUFFIXES, max_bytes: int = MAX_FILE_BYTES
) -> Iterator[SourceDocument]:
    """The files below a folder in the order of their paths, one in memory at a time.

    ``source_id`` is the path below the folder with slashes. Left out are hidden files and folders, other suffixes,
    empty files, and what a symbolic link leads to outside of the folder; a file that is too large or can't be read is
    left out with a warning in the log. Raises SourceFailed if the folder itself can't be read.
    """
    root = Path(path).resolve()
    if not root.is_dir():
        raise SourceFailed("The folder does not exist or can't be read.", reason="no_folder")
    wanted = {suffix.lower() for suffix in suffixes}
    return (
        document
        for file in _files(root, root, frozenset())
        if file.suffix.lower() in wanted and (document := _document(root, file, max_bytes)) is not None
    )


def _files(root: Path, folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """All files that are not hidden; a link to a folder that we are in is not followed."""
    real = folder.resolve()
    if real in above or not real.is_relative_to(root):
        return
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        logger.warning("The folder %s can't be read: %s", folder, error.strerror)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(root, entry, above | {real})
        else:
            yield entry


def _document(root: Path, file: Path, max_bytes: int) -> SourceDocument | None:
    name = file.relative_to(root).as_posix()
    identity = clean(name)
    if len(identity) > MAX_SOURCE_ID_CHARS:
        logger.warning("The file %r has a path that is too long to be its id.", name)
        return None
    try:
        found = _bytes(root, file, max_bytes)
    except OSError as error:
        logger.warning("The file %r can't be read: %s", name, error.strerror)
        return None
    if found is None:
        return None
    data, modified = found
    return SourceDocument(
        source_id=identity,
        title=clean(file.stem),
        data=data,
        mime=mimetypes.guess_type(file.name)[0] or "",
        filename=clean(file.name),
        post_type="file",
        modified_at=datetime.fromtimestamp(modified, UTC),
    )


def _bytes(root: Path, file: Path, max_bytes: int) -> tuple[bytes, float] | None:
    """The file's bytes and time; None for what is no file of the folder, is empty or too large."""
    target = file.resolve()
    if not target.is_relative_to(root) or not target.is_file():
        return None
    with target.open("rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        data = opened.read(max_bytes + 1)
    if len(data) > max_bytes:
        logger.warning("The file %r is larger than %d bytes.", file.relative_to(root).as_posix(), max_bytes)
        return None
    return (data, status.st_mtime) if data else None
