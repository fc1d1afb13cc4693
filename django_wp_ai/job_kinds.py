"""What a host's ``wp_ai_jobs`` modules import to make kinds of jobs; see docs/kinds.md."""

from __future__ import annotations

from django_wp_ai.datatypes import ChatRequest, EmbeddingRequest, Message, TextPart
from django_wp_ai.jobs.asking.fields import TextTask
from django_wp_ai.jobs.asking.prompts import Task
from django_wp_ai.jobs.asking.structured import Structured, ask_for_json
from django_wp_ai.jobs.context import Child, JobContext, JobFailed, NewJob, StepAnswer
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.policy.content.injection import FENCE_RULE, fence

__all__ = [
    "FENCE_RULE",
    "ChatRequest",
    "Child",
    "EmbeddingRequest",
    "JobContext",
    "JobFailed",
    "Message",
    "NewJob",
    "StepAnswer",
    "Structured",
    "Task",
    "TextPart",
    "TextTask",
    "ask_for_json",
    "fence",
    "job_kind",
]
