"""Word's documents, by mammoth: what a reader sees of headings, lists, tables, notes, and what is told of images."""

from __future__ import annotations

import io
from typing import Any
from zipfile import BadZipFile

from django_wp_ai.rag.extract import html, sniffing
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.packages import Package, walk, words_of
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

_TITLE = "http://purl.org/dc/elements/1.1/ title"
_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='Quote'] => blockquote > p:fresh
p[style-name='Intense Quote'] => blockquote > p:fresh
p[style-name='Heading 7'] => h6:fresh
p[style-name='Heading 8'] => h6:fresh
p[style-name='Heading 9'] => h6:fresh
"""


def read(data: bytes, package: Package, limits: Limits) -> Extracted:
    """Every XML part is gone through first, for what the library would follow."""
    import mammoth

    for name in package.parts:
        if name.endswith((".xml", ".rels")):
            walk(package.part(name))
    try:
        made = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map=_STYLES,
            include_embedded_style_map=False,
            external_file_access=False,
            convert_image=mammoth.images.img_element(_no_bytes),
        ).value
    except (KeyError, ValueError, AttributeError, TypeError, IndexError, OSError, BadZipFile) as error:
        raise ExtractionFailed("damaged") from error
    page = html.read(made, max_chars=limits.extract_max_chars)
    title = words_of(package.part("docProps/core.xml"), _TITLE)
    return Extracted(text=page.text, title=title, mime=sniffing.DOCX, truncated=page.truncated)


def _no_bytes(_: Any) -> dict[str, str]:
    """An image's alternative text stays; the image is not unpacked."""
    return {"src": ""}
