"""The kinds of jobs there are: this app's own in ``jobs/kinds/``, a host's in its apps' ``wp_ai_jobs`` modules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from pydantic import BaseModel

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid

if TYPE_CHECKING:
    from django_wp_ai.jobs.context import JobContext
    from django_wp_ai.models import Job

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)

InputT = TypeVar("InputT", bound=BaseModel)
OutputT = TypeVar("OutputT", bound=BaseModel)
Run = Callable[["JobContext", Any], Awaitable[BaseModel]]
OnFailure = Callable[["Job", str, str], None]


@dataclass(frozen=True, slots=True)
class JobKind:
    """How one kind is checked, run and bounded. None stands for the setting's value.

    One that ``is_internal`` can't be asked for by sites, and of one that is ``single`` a site has one at a time.
    ``on_failure`` gets the job, a code and a message, in the transaction that ends it as failed or cancelled.
    """

    name: str
    input: type[BaseModel]
    output: type[BaseModel]
    run: Run
    deadline: int | None = None
    attempts: int | None = None
    is_internal: bool = False
    single: bool = False
    on_failure: OnFailure | None = None

    @property
    def deadline_s(self) -> int:
        """Seconds that one attempt may take."""
        return int(self.deadline or settings.job_deadline_s)

    @property
    def max_attempts(self) -> int:
        """How often it is tried before it has failed."""
        return int(self.attempts or settings.job_max_attempts)


_kinds: dict[str, JobKind] = {}


def job_kind(
    name: str,
    *,
    input: type[InputT],  # noqa: A002 - the word of the trade
    output: type[OutputT],
    deadline_s: int | None = None,
    max_attempts: int | None = None,
    is_internal: bool = False,
    single: bool = False,
    on_failure: OnFailure | None = None,
) -> Callable[[Callable[[JobContext, InputT], Awaitable[OutputT]]], Callable[[JobContext, InputT], Awaitable[OutputT]]]:
    """Register an ``async def run(context, input) -> output`` as the kind ``name``.

    Both schemas are pydantic models. The function must be safe to run again: what is paid for goes through the
    context's steps. Raises ImproperlyConfigured for a bad or taken name and for a function that is not ``async``.
    """
    if not _NAME.fullmatch(name):
        raise ImproperlyConfigured(f"{name!r} is no name of a job kind: small letters, digits and underscores.")

    def register(
        run: Callable[[JobContext, InputT], Awaitable[OutputT]],
    ) -> Callable[[JobContext, InputT], Awaitable[OutputT]]:
        if not inspect.iscoroutinefunction(run):
            raise ImproperlyConfigured(f"The job kind {name!r} must be an async function.")
        known = _kinds.get(name)
        if known is not None and known.run is not run:
            raise ImproperlyConfigured(f"There are two job kinds named {name!r}.")
        _kinds[name] = JobKind(name, input, output, run, deadline_s, max_attempts, is_internal, single, on_failure)
        return run

    return register


def kinds() -> Mapping[str, JobKind]:
    """All kinds by name."""
    return MappingProxyType(_kinds)


def kind(name: str) -> JobKind:
    """One kind, whoever may ask for it; raises Invalid with the names that sites may use."""
    found = _kinds.get(name)
    if found is None:
        raise _unknown()
    return found


def offered(name: str) -> JobKind:
    """One kind that a site may ask for; raises Invalid with the names there are."""
    found = _kinds.get(name)
    if found is None or found.is_internal:
        raise _unknown()
    return found


def _unknown() -> Invalid:
    known = ", ".join(sorted(name for name, kind in _kinds.items() if not kind.is_internal))
    message = f"There is no such kind; known: {known}."
    return Invalid(message, errors=[{"field": "kind", "message": message}], param="kind")
