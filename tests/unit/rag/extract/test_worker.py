"""What the process says of a file, and the bounds it sets on itself."""

from __future__ import annotations

import io
import json
import resource
import signal
import sys
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from django_wp_ai.rag.extract import reading, worker
from django_wp_ai.rag.extract.limits import Limits


def failing(error: BaseException) -> Any:
    def read(*_: object, **__: object) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (MemoryError(), {"code": "too_large", "detail": "Reading the file needs more memory than it may have."}),
        (
            ZeroDivisionError("secret"),
            {"code": "damaged", "detail": "", "is_certain": False, "unforeseen": "ZeroDivisionError"},
        ),
    ],
)
def test_whatever_a_parser_raises_becomes_an_answer(
    error: Exception, answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "read", failing(error))
    assert worker.answer(b"x", kind="text/plain", mime="", limits=Limits()) == answer


def test_parts_that_stand_in_each_other_too_deeply_are_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "import_module", lambda name: SimpleNamespace(read=failing(RecursionError())))
    found = worker.answer(b"x", kind="text/plain", mime="", limits=Limits())
    assert (found["code"], found["is_certain"]) == ("damaged", True)


def test_it_bounds_itself_and_answers_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: dict[int, int] = {}
    timers: list[float] = []
    monkeypatch.setattr(resource, "setrlimit", lambda name, values: bounds.__setitem__(name, values[0]))
    monkeypatch.setattr(signal, "setitimer", lambda _, seconds: timers.append(seconds))
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"words")))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))

    limits = Limits(extract_timeout_s=9.5, extract_memory_bytes=123_456_789)
    worker.main(json.dumps({"kind": "text/plain", "mime": "", "limits": asdict(limits)}))

    assert json.loads(out.getvalue())["text"] == "words"
    assert bounds[resource.RLIMIT_AS] == 123_456_789
    assert bounds[resource.RLIMIT_CPU] == timers[0] == 15
    assert bounds[resource.RLIMIT_CORE] == 0
