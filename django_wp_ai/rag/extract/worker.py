"""The process that reads one file: bytes in, JSON out, and bounds on itself that nothing it parses can lift.

``python -m django_wp_ai.rag.extract.worker JSON`` with ``{"kind", "mime", "limits"}``; see ``process``.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import sys
from dataclasses import asdict
from typing import Any

from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.reading import read
from django_wp_ai.rag.extract.result import ExtractionFailed

#: Should who started this be gone, this ends by itself, so much later than it would have been killed.
GRACE_S = 5
MAX_WRITTEN_BYTES = 64 * 1024 * 1024


def answer(data: bytes, *, kind: str, mime: str, limits: Limits) -> dict[str, Any]:
    """The fields of ``Extracted``, or those of ``ExtractionFailed`` with the name of an unforeseen error."""
    try:
        return asdict(read(data, kind=kind, mime=mime, limits=limits))
    except ExtractionFailed as error:
        return {"code": error.code, "detail": error.detail, "is_certain": error.is_certain}
    except MemoryError:
        return {"code": "too_large", "detail": "Reading the file needs more memory than it may have."}
    except Exception as error:  # noqa: BLE001 - parsers raise anything over files that are made to break them
        return {"code": "damaged", "detail": "", "is_certain": False, "unforeseen": type(error).__name__}


def bound_this_process(limits: Limits) -> None:
    """Memory, processor time, files and wall time, where the system has such bounds."""
    with contextlib.suppress(ImportError):
        import resource

        seconds = math.ceil(limits.extract_timeout_s) + GRACE_S
        for name, value in (
            ("RLIMIT_AS", limits.extract_memory_bytes),
            ("RLIMIT_CPU", seconds),
            ("RLIMIT_FSIZE", MAX_WRITTEN_BYTES),
            ("RLIMIT_CORE", 0),
        ):
            _, hard = resource.getrlimit(getattr(resource, name))
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with contextlib.suppress(ValueError, OSError):  # of systems that have the name only
                resource.setrlimit(getattr(resource, name), (allowed, allowed))
        signal.setitimer(signal.ITIMER_REAL, seconds)


def main(told: str) -> None:
    """Read standard input, write one line of JSON."""
    asked = json.loads(told)
    given = asked["limits"]
    limits = Limits(**{**given, "ocr_languages": tuple(given["ocr_languages"])})
    bound_this_process(limits)
    found = answer(sys.stdin.buffer.read(), kind=asked["kind"], mime=asked["mime"], limits=limits)
    sys.stdout.buffer.write(json.dumps(found).encode("ascii"))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
