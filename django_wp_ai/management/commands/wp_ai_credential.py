"""``wp_ai_credential``: make, rotate, revoke and list a tenant's credentials."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.management import arguments
from django_wp_ai.management.commands.wp_ai_tenant import find_tenant
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Credential
from django_wp_ai.models.credential import SCOPES
from django_wp_ai.security.issue import DEFAULT_OVERLAP, Issued, issue, rotate

COLUMNS = ("keyid", "kind", "profile", "status", "scopes", "label", "expires_at", "last_used_at")
SHOWN_ONCE = "The secret is shown only now: put it into the site's settings."
# A callback secret is made with its tenant and rotated: two would leave the site guessing which one signs.
KINDS = [kind for kind in Credential.Kind.values if kind != Credential.Kind.CALLBACK]


class Command(ReportingCommand):
    """Verbs create, rotate, revoke, list."""

    help = "Make, rotate, revoke and list a tenant's credentials."

    def add_verbs(self) -> None:
        """Declare the verbs of PROTOCOL §6."""
        create = self.add_verb("create", "Make a credential and print its secret once.", self.create)
        create.add_argument("slug", metavar="SLUG")
        create.add_argument("--kind", choices=KINDS, required=True)
        create.add_argument("--profile", default="", choices=Credential.Profile.values, help="For kind hmac.")
        create.add_argument(
            "--scopes", nargs="+", type=arguments.names, metavar="SCOPE", help=f"Of {', '.join(SCOPES)}; default: all."
        )
        create.add_argument("--public-key", type=arguments.public_key_file, metavar="FILE")
        create.add_argument("--username", default="", metavar="U", help="For kind app_password: the WordPress user.")
        create.add_argument(
            "--password-file",
            type=arguments.password_file,
            metavar="FILE",
            help="For kind app_password: a file with the password, or - for standard input.",
        )
        create.add_argument("--expires-in", type=arguments.duration, metavar="90d")
        renew = self.add_verb("rotate", "Make a successor; the old one lives on for the overlap.", self.rotate)
        renew.add_argument("key_id", metavar="KEYID")
        renew.add_argument("--overlap", type=arguments.duration, default=DEFAULT_OVERLAP, metavar="24h")
        stop = self.add_verb("revoke", "Stop a credential now.", self.revoke)
        stop.add_argument("key_id", metavar="KEYID")
        self.add_verb("list", "List a tenant's credentials.", self.list_all).add_argument("slug", metavar="SLUG")

    def create(
        self,
        *,
        slug: str,
        kind: str,
        profile: str,
        scopes: list[list[str]] | None,
        public_key: str | None,
        expires_in: timedelta | None,
        username: str,
        password_file: str | None,
        **_options: Any,
    ) -> None:
        """Make one credential."""
        if kind == Credential.Kind.PUBLIC_KEY and not public_key:
            raise Invalid("Kind public_key needs --public-key FILE.")
        wanted = None if scopes is None else [scope for group in scopes for scope in group]
        with transaction.atomic():
            issued = issue(
                find_tenant(slug),
                kind=kind,
                profile=profile,
                scopes=wanted,
                public_key=public_key or "",
                expires_in=expires_in,
                username=username,
                password=password_file or "",
            )
        self.report(describe_issued(issued), note=SHOWN_ONCE if issued.secret else "")

    def rotate(self, *, key_id: str, overlap: timedelta, **_options: Any) -> None:
        """Make the successor and end the old one after ``overlap``."""
        with transaction.atomic():
            old = find_credential(key_id)
            issued = rotate(old, overlap=overlap)
        self.report(
            {**describe_issued(issued), "replaces": {"keyid": old.key_id, "expires_at": old.expires_at}},
            note=SHOWN_ONCE,
        )

    def revoke(self, *, key_id: str, **_options: Any) -> None:
        """Stop it; doing it twice is no error."""
        with transaction.atomic():
            credential = find_credential(key_id)
            credential.revoke()
        self.report(describe(credential))

    def list_all(self, *, slug: str, **_options: Any) -> None:
        """All credentials of one tenant, ended ones too."""
        tenant = find_tenant(slug)
        rows = [describe(credential) for credential in Credential.objects.for_tenant(tenant).select_related("tenant")]
        self.report_table(rows, columns=COLUMNS, empty="This tenant has no credentials.")
        if not tenant.is_active and not self.as_json:
            self.stdout.write("\nThe tenant is deactivated: all of its credentials are refused.")


def find_credential(key_id: str) -> Credential:
    """The credential, locked; raises NotFound. What was given is not repeated: it may be a secret by mistake."""
    try:
        return Credential.objects.select_related("tenant").select_for_update(of=("self",)).get(key_id=key_id)
    except Credential.DoesNotExist:
        raise NotFound("There is no credential with this key id.") from None


def describe(credential: Credential) -> dict[str, Any]:
    """What may be shown of a credential at any time."""
    return {
        "tenant": credential.tenant.slug,
        "kind": credential.kind,
        "keyid": credential.key_id,
        "profile": credential.profile,
        "alg": credential.algorithm,
        "label": credential.label,
        "username": credential.username,
        "scopes": credential.scopes,
        "status": credential.status().value,
        "created_at": credential.created_at,
        "not_before": credential.not_before,
        "expires_at": credential.expires_at,
        "revoked_at": credential.revoked_at,
        "last_used_at": credential.last_used_at,
    }


def describe_issued(issued: Issued) -> dict[str, Any]:
    """The same with the secret, under the names of ``demo.json``."""
    row = describe(issued.credential)
    if issued.credential.kind in (Credential.Kind.JWT, Credential.Kind.PUBLIC_KEY):
        row["kid"] = issued.credential.key_id
    if issued.secret:
        row["secret"] = issued.secret
    if issued.credential.kind == Credential.Kind.API_KEY:
        row["api_key"] = issued.secret
    return row
