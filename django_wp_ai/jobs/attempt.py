"""One attempt of one job: run its kind within the deadline, and say how it ended. Writes nothing itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.utils import timezone
from pydantic import BaseModel

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import (
    BudgetExceeded,
    Conflict,
    Invalid,
    ProviderError,
    ProviderRefused,
    RateLimited,
    WpAiError,
)
from django_wp_ai.jobs import ending, inputs, payload, registry
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.defects import described
from django_wp_ai.jobs.interrupts import LeaseLost, Waiting
from django_wp_ai.jobs.outage import UNAVAILABLE
from django_wp_ai.security.secrets import UndecryptableSecret

logger = logging.getLogger("django_wp_ai.jobs")

UNKNOWN_KIND_PAUSE_S = 60.0  # another worker may know it, or have the key


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended. ``write`` is blocking and conditional: False when the job is no longer ours."""

    write: Callable[[], bool]
    is_success: bool = False
    is_last_resort: bool = False  # what is written where writing another ending failed


async def run(claim: Claim) -> Ending:
    """Run the kind; whatever it raises becomes an ending. Only a cancellation passes."""
    try:
        async with asyncio.timeout(claim.job.deadline_s) as deadline:
            return Ending(partial(ending.succeed, claim, await _result(claim)), is_success=True)
    except Waiting:
        return Ending(partial(ending.wait_for_children, claim), is_success=True)
    except LeaseLost:
        return Ending(lambda: False)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code of a kind; SystemExit would end the worker
        if deadline.expired() and isinstance(error, TimeoutError):
            message = f"It took longer than {claim.job.deadline_s} s."
            return Ending(partial(ending.retry_later, claim, code="timeout", message=message))
        return _failed(claim, error)


def _failed(claim: Claim, error: BaseException) -> Ending:
    if isinstance(error, WpAiError):
        return _refused(claim, error)
    if isinstance(error, _UnknownKind):
        return _later(claim, "internal", "No worker knows this kind of job.", after_s=UNKNOWN_KIND_PAUSE_S)
    if isinstance(error, UndecryptableSecret):
        logger.error("The input of job %s can't be read. %s", claim.job.pk, error)
        message = "The input can't be read: its encryption key is gone."
        return _later(claim, "unreadable", message, after_s=UNKNOWN_KIND_PAUSE_S)
    if isinstance(error, UNAVAILABLE):
        logger.warning("Job %s lost its database (%s).", claim.job.pk, type(error).__name__)
        return _later(claim, "internal", "The database was not available.", after_s=_patience_s(claim))
    return broken(claim, error)


def broken(claim: Claim, error: BaseException) -> Ending:
    """A defect, of a kind or of ours."""
    logger.error("Job %s of kind %s broke: %s", claim.job.pk, claim.job.kind, described(error))
    write = partial(ending.retry_later, claim, code="internal", message="Something went wrong.")
    return Ending(write, is_last_resort=True)


class _UnknownKind(Exception):
    """An older or newer worker may know it."""


async def _result(claim: Claim) -> object:
    try:
        kind = registry.kind(claim.job.kind)
    except Invalid:
        raise _UnknownKind from None
    try:
        given = inputs.parse(kind, payload.unseal(claim.job.input_sealed))
    except Invalid as error:
        raise Invalid("The input no longer fits this kind of job.") from error
    result = await kind.run(JobContext(claim), given)
    if not isinstance(result, BaseModel):
        raise TypeError(f"The kind {kind.name} returned no model.")
    return result.model_dump(mode="json")


def _refused(claim: Claim, error: WpAiError) -> Ending:
    code, message = error.code, error.detail or error.title
    comes_again = isinstance(error, (BudgetExceeded, Conflict)) and error.retry_after_s is not None
    if isinstance(error, RateLimited) or comes_again:
        return _later(claim, code, message, after_s=error.retry_after_s)
    if isinstance(error, ProviderError) and not isinstance(error, ProviderRefused):
        after_s = error.retry_after_s
        return Ending(partial(ending.retry_later, claim, code=code, message=message, after_s=after_s))
    return Ending(partial(ending.fail, claim, code=code, message=message))


def _patience_s(claim: Claim) -> float:
    """The older the job, the longer the pause: what does not count may be repeated for long."""
    age_s = (timezone.now() - claim.job.created_at).total_seconds()
    return min(max(0.0, age_s) / 4, float(settings.job_retry_max_s))


def _later(claim: Claim, code: str, message: str, *, after_s: float | None = None) -> Ending:
    """Not the job's fault, so the attempt does not count."""
    return Ending(partial(ending.retry_later, claim, code=code, message=message, after_s=after_s, counts=False))
