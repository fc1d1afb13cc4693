"""Jobs as they are handed over, and how lists of them are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, field_validator

from django_wp_ai.jobs.new import PRIORITIES, NewJob
from django_wp_ai.schemas.base import Strict


def _time(value: Any) -> datetime:
    """Text with a time zone, in UTC. Numbers are refused: nobody knows whether they are seconds or milliseconds."""
    if not isinstance(value, str):
        raise ValueError("a time as text (RFC 3339)")
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None else at
    except (ValueError, OverflowError):
        raise ValueError("a time as text (RFC 3339)") from None


NotBefore = Annotated[datetime, BeforeValidator(_time), Field(description="Not before this time (RFC 3339).")]


class JobIn(Strict):
    """What is to be done; the input's shape is the kind's."""

    kind: Annotated[str, Field(min_length=1, max_length=64, description="One of the kinds there are.")]
    input: Annotated[Any, Field(description="As the kind's schema has it.")]
    callback_url: Annotated[str, Field(max_length=2000, description="Is told the end; the site's own without it.")] = ""
    callback_profile: Annotated[str, Field(max_length=32, description="How it is signed; standard without it.")] = ""
    metadata: Annotated[
        dict[str, Any],
        Field(description="Comes back with the job. end_user and plugin go to the ledger, lang to the kind."),
    ] = {}
    run_after: NotBefore | None = None
    priority: Annotated[
        int, Field(ge=PRIORITIES[0], le=PRIORITIES[-1], description="Among the site's jobs: the higher, the sooner.")
    ] = 0

    @field_validator("metadata")
    @classmethod
    def names_are_texts(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Who is behind the job goes to the ledger, so it can't be anything."""
        for name in ("end_user", "plugin"):
            named = value.get(name, "")
            if not isinstance(named, str) or len(named) > 128:
                raise ValueError(f"{name} is a text of at most 128 characters")
        return value

    def to_new(self, *, idempotency_key: str, request_id: str) -> NewJob:
        """As plain data."""
        return NewJob(
            kind=self.kind,
            input=self.input,
            callback_url=self.callback_url,
            callback_profile=self.callback_profile,
            metadata=self.metadata,
            run_after=self.run_after,
            priority=self.priority,
            idempotency_key=idempotency_key,
            request_id=request_id,
            plugin=self.metadata.get("plugin", ""),
            end_user=self.metadata.get("end_user", ""),
        )


class JobsIn(BaseModel):
    """Which jobs are listed."""

    status: Annotated[
        Literal["", "queued", "running", "succeeded", "failed", "cancelled"], Field(description="Only these.")
    ] = ""
    kind: Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$", description="Only of this kind.")] = ""
    cursor: Annotated[str, Field(max_length=200, description="The next_cursor of the page before.")] = ""
    limit: Annotated[int, Field(ge=1, le=100, description="Jobs on a page.")] = 50
