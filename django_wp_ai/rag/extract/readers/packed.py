"""What is packed in a zip file: the parts in it say which document it is."""

from __future__ import annotations

from django_wp_ai.rag.extract import sniffing
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.packages import Package
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

_WORD = (b"wordprocessingml.document.main+xml", b"ms-word.document.macroEnabled.main+xml")
_OTHERS = ((b"spreadsheetml", "a workbook"), (b"presentationml", "a presentation"))


def read(data: bytes, *, kind: str, mime: str, limits: Limits) -> Extracted:
    """DOCX or ODT; macros and what is embedded are left alone."""
    package = Package(data, limits)
    if package.part("mimetype").strip() == sniffing.ODT.encode():
        from django_wp_ai.rag.extract.readers import odt

        return odt.read(package, limits)
    types = package.part("[Content_Types].xml")
    if any(name in types for name in _WORD):
        from django_wp_ai.rag.extract.readers import docx

        return docx.read(data, package, limits)
    for mark, what in _OTHERS:
        if mark in types:
            raise ExtractionFailed("unsupported_media", f"The file is {what}; DOCX, ODT, PDF and CSV are read.")
    raise ExtractionFailed("unsupported_media", "The file is an archive, and holds no document that is read here.")
