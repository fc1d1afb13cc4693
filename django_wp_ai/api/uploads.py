"""Forms with a file (multipart/form-data, RFC 7578), read from bytes that are bounded and proved already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from django_wp_ai.api import body
from django_wp_ai.exceptions import Invalid, TooLarge

FORM = "multipart/form-data"
FILE = "file"
#: Django's parser replaces what it can't decode; so it is given nothing that it can't, and we decode.
BYTES = "latin-1"
#: Fields of a form that hold JSON.
OBJECTS = ("metadata",)


@dataclass(frozen=True, slots=True)
class Upload:
    """The file of a form; name and type are the client's words."""

    content: bytes
    filename: str
    mime: str


class _InMemory(MemoryFileUploadHandler):
    """Keeps every file: the body that it stands in is in memory already, whatever its size."""

    def handle_raw_input(self, *_args: Any, **_kwargs: Any) -> None:
        self.activated = True


def is_form(request: HttpRequest) -> bool:
    """Whether the request says that its body is a form with a file."""
    return (request.content_type or "").lower() == FORM


def read_form(request: HttpRequest, sent: bytes) -> tuple[dict[str, Any], Upload]:
    """The fields and the one file; raises Invalid for what is no such form. Blocking: it copies the file."""
    meta = {**request.META, "CONTENT_LENGTH": str(len(sent))}
    try:
        fields, files = MultiPartParser(meta, BytesIO(sent), [_InMemory()], BYTES).parse()
    except (MultiPartParserError, TooManyFieldsSent, TooManyFilesSent):
        raise Invalid("The body is no multipart form.") from None
    except RequestDataTooBig:
        raise TooLarge("The fields of the form are too large.") from None
    found: dict[str, Any] = {}
    for name, values in fields.lists():
        if len(values) > 1:
            raise _invalid(name, "Given twice.")
        if name == FILE:
            raise _invalid(FILE, "Send it as a file, with a filename.")
        text = _text(name, str(values[0]))
        found[name] = _object(name, text) if name in OBJECTS else text
    uploads = [(name, file) for name, given in files.lists() for file in given]
    if len(uploads) != 1 or uploads[0][0] != FILE:
        raise _invalid(FILE, "A form has exactly one file, in the field file.")
    file = uploads[0][1]
    if not file.size:
        raise _invalid(FILE, "The file is empty.")
    return found, Upload(file.read(), (file.name or "upload")[:255], (file.content_type or "")[:127])


def _text(name: str, value: str) -> str:
    try:
        return value.encode(BYTES).decode()
    except UnicodeDecodeError:
        raise _invalid(name, "It is not UTF-8.") from None


def _object(name: str, text: str) -> Any:
    try:
        return body.parse(text.encode())
    except Invalid as error:
        raise _invalid(name, str(error)) from None


def named(found: dict[str, Any], upload: Upload) -> dict[str, Any]:
    """The form as one value that tells it from every other."""
    digest = hashlib.sha256(upload.content).hexdigest()
    return {**found, FILE: [digest, upload.filename, upload.mime]}


def upload_of(request: HttpRequest) -> Upload | None:
    """The file that came with the request, if one did."""
    return getattr(request, "wp_ai_upload", None)


def _invalid(name: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": name[:64], "message": message}], param=name[:64])
