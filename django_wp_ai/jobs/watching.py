"""What is told of a job to those who watch it. Blocking, and as cheap as a look can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django_wp_ai.bridge import let_connections_go
from django_wp_ai.exceptions import NotFound
from django_wp_ai.models import Job


@dataclass(frozen=True, slots=True)
class Seen:
    """A job's state at a moment."""

    status: str
    progress: int

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing more to see."""
        return self.status not in Job.UNFINISHED

    def told(self) -> dict[str, Any]:
        """As an event has it."""
        return {"status": self.status, "progress": self.progress}


def seen(job: Job) -> Seen:
    """The state in a row that has been read."""
    return Seen(str(job.status), job.progress)


def look(job: Job) -> Seen:
    """The state as it is now; holds no connection afterwards. Raises NotFound for a job that is gone."""
    try:
        row = Job.objects.for_tenant(job.tenant).filter(pk=job.pk).values_list("status", "progress").first()
    finally:
        let_connections_go()
    if row is None:
        raise NotFound("The job was deleted.")
    return Seen(*row)
