"""Rich Text Format: its words, a paragraph for each of its own."""

from __future__ import annotations

from django_wp_ai.rag.extract import sniffing
from django_wp_ai.rag.extract.decoding import clean
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.markdown import Enough, Writer
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed


def read(data: bytes, *, kind: str, mime: str, limits: Limits) -> Extracted:
    """Letters of another encoding are escaped in RTF; what stands there unescaped is taken for Western."""
    from striprtf.striprtf import rtf_to_text

    try:
        text: str = rtf_to_text(data.decode("cp1252", errors="replace"), errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, LookupError, IndexError, TypeError) as error:
        raise ExtractionFailed("damaged") from error
    writer = Writer(limits.extract_max_chars)
    truncated = False
    try:
        for line in clean(text).split("\n"):
            if words := " ".join(line.split()):
                writer.paragraph(words)
    except Enough:
        truncated = True
    return Extracted(text=writer.text(), mime=sniffing.RTF, truncated=truncated)
