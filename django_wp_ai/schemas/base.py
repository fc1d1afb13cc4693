"""What all bodies share: unknown fields are refused, text is bounded."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_TOKENS = 1_000_000
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}", re.ASCII)
_WEB_URL = re.compile(r"https://[^\s/?#@:\x00-\x20][^\s\x00-\x20\x7f]{0,2000}")
_NAME = r"^[A-Za-z0-9_.:/-]{1,64}$"


class Strict(BaseModel):
    """A body whose every field is known and of its own type; nothing is ignored, no text is read as a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _image_url(url: str) -> str:
    if not _WEB_URL.fullmatch(url) and not _DATA_URL.fullmatch(url):
        raise ValueError("an image needs an https URL or a base64 data URL (png, jpeg, gif, webp)")
    return url


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


Temperature = Annotated[float, Field(ge=0, le=2)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Probability = Annotated[float, Field(ge=0, le=1)]
TokenCount = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
ModelName = Annotated[str, Field(max_length=128)]
Identity = Annotated[str, Field(max_length=128)]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
SchemaName = Annotated[str, Field(pattern=_NAME)]
ImageUrl = Annotated[str, AfterValidator(_image_url)]
Cache = Annotated[bool, Field(description="Whether a kept answer will do; without it the site's cache mode.")]
DryRun = Annotated[bool, Field(description="Say what would be sent and what it may cost, and send nothing.")]
JsonSchema = dict[str, Any]
Spoken = AfterValidator(_said)
Off = Literal[False]  # an option this version can't switch on: only its neutral value is taken


class Metadata(Strict):
    """Who in WordPress is behind the call; both go to the ledger."""

    plugin: Annotated[str, Field(max_length=128, description="The WordPress plugin that calls.")] = ""
    end_user: Annotated[str, Field(max_length=128, description="WordPress user id or visitor fingerprint.")] = ""
