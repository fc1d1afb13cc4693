"""The process apart: bounded, killed with what it started, and without anything of ours that is secret."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from django_wp_ai.rag.extract import Extracted, ExtractionFailed, process
from tests.unit.rag.extract.files import DATA, file, read_apart, read_here

PDF = file("documents/text.pdf")
SCAN = file("documents/scan.png")


def program(folder: Path, source: str) -> str:
    """A program that stands in for Tesseract."""
    path = folder / "recognise"
    path.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_what_the_process_started_dies_with_it(tmp_path: Path) -> None:
    held = tmp_path / "held"
    source = f"""
import fcntl, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
file = open({str(held)!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("started", flush=True)
time.sleep(60)
file.write("lived on")
"""
    starter = f"import subprocess; subprocess.run([{program(tmp_path, source)!r}])"
    with process._started([sys.executable, "-c", starter], str(tmp_path)) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"started\n"
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # free when the one that held it is gone
        assert file.read() == ""


def test_what_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WORKER", "tests.unit.rag.extract.stubborn")
    with pytest.raises(ExtractionFailed) as failed:
        read_apart(PDF, extract_timeout_s=0.5)
    assert failed.value.code == "timeout"
    assert not failed.value.is_certain


def test_recognition_that_takes_too_long_is_given_up_in_time(tmp_path: Path) -> None:
    command = program(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ExtractionFailed) as failed:
        read_here("documents/scan.png", extract_timeout_s=1, ocr_command=command)
    assert failed.value.code == "timeout"
    found = read_here("documents/scan.pdf", extract_timeout_s=1, ocr_command=command)
    assert (found.ocr_pages, found.unread_pages, found.truncated) == (0, 1, True)


def test_the_process_has_no_secret_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    command = program(tmp_path, "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))")
    environment, folder = json.loads(read_apart(SCAN, ocr_command=command).text)
    assert "s3cret" not in environment.values()
    assert not Path(folder).exists()


def test_the_process_starts_without_django() -> None:
    source = (
        "import sys; from django_wp_ai.rag.extract import worker, reading; import django_wp_ai.rag.extract.readers.pdf;"
        "import django_wp_ai.rag.extract.readers.docx; sys.exit('django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


DAEMON = """
import multiprocessing, pathlib, sys
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.process import read_bounded

def child():
    found = read_bounded(pathlib.Path(sys.argv[1]).read_bytes(), mime="", filename="", limits=Limits())
    sys.exit(0 if found.pages == 2 else 1)

daemon = multiprocessing.get_context("fork").Process(target=child, daemon=True)
daemon.start()
daemon.join()
sys.exit(daemon.exitcode)
"""


def test_it_can_be_called_from_a_daemonic_process() -> None:
    command = [sys.executable, "-c", DAEMON, DATA / "documents" / "text.pdf"]
    assert subprocess.run(command, check=False).returncode == 0


def test_so_many_files_are_read_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[bool] = []

    def run(*_: object, **__: object) -> dict[str, str]:
        slots = process._slots(os.getpid(), 2)
        free.append(slots.acquire(blocking=False))
        free.append(slots.acquire(blocking=False))
        slots.release()
        return {"text": "words"}

    monkeypatch.setattr(process, "_run", run)
    for _ in range(2):
        read_apart(PDF, extract_processes=2)
    assert free == [True, False, True, False]


def test_a_process_that_dies_is_told_and_its_slot_is_free_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "WORKER", "tests.unit.rag.extract.no_such_module")
    for _ in range(2):
        with caplog.at_level(logging.WARNING, "django_wp_ai.rag"), pytest.raises(ExtractionFailed) as failed:
            read_apart(PDF, extract_processes=1)
        assert failed.value.code == "extraction_failed"
        assert not failed.value.is_certain
    assert "ended with status 1" in caplog.text


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (-14, "timeout"),
        (-24, "timeout"),
        (-6, "too_large"),
        (127, "too_large"),
        (-11, "extraction_failed"),
        (1, "extraction_failed"),
    ],
)
def test_the_way_it_ended_says_why(status: int, code: str) -> None:
    assert process._ended_badly(status).code == code


def test_a_missing_library_is_told_by_the_extra_that_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pypdfium2", "mammoth"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError(name={name!r})", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("text.pdf", "handbook.docx"):
        with pytest.raises(ExtractionFailed, match=r"pip install 'django-wp-ai\[rag\]'") as failed:
            read_apart(file(f"documents/{name}"))
        assert failed.value.code == "extra_missing"
        assert not failed.value.is_certain


def test_html_without_its_library_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(ExtractionFailed, match=r"django-wp-ai\[rag\]"):
        read_apart(b"<p>words</p>")


def test_small_texts_need_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_run", None)
    assert read_apart(b"<p>words</p>") == Extracted(text="words", mime="text/html")
    assert read_apart(b"words") == Extracted(text="words", mime="text/plain")


def test_many_threads_read_at_once() -> None:
    with ThreadPoolExecutor(3) as threads:
        assert [found.pages for found in threads.map(lambda _: read_apart(PDF), range(3))] == [2, 2, 2]
