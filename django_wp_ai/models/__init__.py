"""What we store, one file a noun."""

from django_wp_ai.models.audit import AuthFailureCount, SpentNonce
from django_wp_ai.models.budget import Budget, BudgetAlert, BudgetPeriod
from django_wp_ai.models.callback import Callback, CallbackAttempt, CallbackEndpoint
from django_wp_ai.models.conversation import Conversation, Turn
from django_wp_ai.models.credential import Credential
from django_wp_ai.models.document import Chunk, Document, DocumentText, DocumentUpload, Extraction, SiteIndex
from django_wp_ai.models.idempotency import IdempotentReply
from django_wp_ai.models.inbound import InboundEvent
from django_wp_ai.models.job import Job, JobStep
from django_wp_ai.models.pairing import PairingCode
from django_wp_ai.models.prompt import PromptTemplate
from django_wp_ai.models.rate import RateWindow
from django_wp_ai.models.slot import StreamSlot
from django_wp_ai.models.tenant import Tenant
from django_wp_ai.models.usage import UsageEvent

__all__ = [
    "AuthFailureCount",
    "Budget",
    "BudgetAlert",
    "BudgetPeriod",
    "Callback",
    "CallbackAttempt",
    "CallbackEndpoint",
    "Chunk",
    "Conversation",
    "Credential",
    "Document",
    "DocumentText",
    "DocumentUpload",
    "Extraction",
    "IdempotentReply",
    "InboundEvent",
    "Job",
    "JobStep",
    "PairingCode",
    "PromptTemplate",
    "RateWindow",
    "SiteIndex",
    "SpentNonce",
    "StreamSlot",
    "Tenant",
    "Turn",
    "UsageEvent",
]
