"""Pictures of text: PNG, JPEG, WebP, GIF and (page by page) TIFF, by text recognition."""

from __future__ import annotations

import io
import struct
from typing import Any

from django_wp_ai.rag.extract import ocr
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.lines import paragraphs
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed
from django_wp_ai.rag.extract.sniffing import GIF, JPEG, PNG, TIFF, WEBP

_FORMATS = {PNG: "PNG", JPEG: "JPEG", GIF: "GIF", TIFF: "TIFF", WEBP: "WEBP"}
#: Letters of small pictures are too small for recognition: these are doubled.
SMALL = 1200


def read(data: bytes, *, kind: str, mime: str, limits: Limits) -> Extracted:
    """The size stands in the first bytes, and is looked at before anything is unpacked."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # ours is the bound
    recogniser = ocr.Recogniser(limits)
    try:
        with Image.open(io.BytesIO(data), formats=[_FORMATS[kind]]) as image:
            if kind == TIFF:
                texts, pages = _pages(image, recogniser, limits)
            else:
                texts, pages = [_text_of(image, recogniser, limits)], 1
    except UnidentifiedImageError as error:
        raise ExtractionFailed("damaged") from error
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error, TypeError, IndexError) as error:
        raise ExtractionFailed("damaged") from error
    unread = pages - recogniser.pages
    if unread and not recogniser.pages:
        raise recogniser.failure()
    return Extracted(
        text="\n\n".join(filter(None, texts)),
        mime=kind,
        pages=pages if kind == TIFF else None,
        ocr_pages=recogniser.pages,
        unread_pages=unread,
        truncated=bool(unread),
    )


def _pages(image: Any, recogniser: ocr.Recogniser, limits: Limits) -> tuple[list[str], int]:
    """Each page of a fax or scan."""
    pages = image.n_frames
    if pages > limits.extract_max_pages:
        raise ExtractionFailed("too_many_pages", f"The file has {pages} pages, more than {limits.extract_max_pages}.")
    texts = []
    for number in range(pages):
        if not recogniser.can_go_on():
            break
        image.seek(number)
        texts.append(_text_of(image, recogniser, limits))
    return texts, pages


def _text_of(image: Any, recogniser: ocr.Recogniser, limits: Limits) -> str:
    width, height = image.size
    if width * height > limits.extract_max_pixels:
        raise ExtractionFailed("too_large", f"The picture has more than {limits.extract_max_pixels} pixels.")
    if not recogniser.can_go_on():
        return ""
    return "\n\n".join(paragraphs(recogniser.text_of(_grey(image)) or ""))


def _grey(image: Any) -> Any:
    """Upright, on white where it is clear, large enough."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    grey = image.convert("L")
    return grey.resize((grey.width * 2, grey.height * 2)) if max(grey.size) < SMALL else grey
