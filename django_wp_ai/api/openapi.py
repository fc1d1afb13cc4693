"""What the description of the API says beyond what Ninja finds out by itself."""

from __future__ import annotations

from typing import Any, Final

#: Of calls that are answered before their work is done.
ACCEPTED: Final[dict[str, Any]] = {"responses": {202: {"description": "Taken; it is worked on later."}}}
