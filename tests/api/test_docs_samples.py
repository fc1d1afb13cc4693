"""The documentation's Python clients, run as a reader would run them, against a real server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from django_wp_ai.models import UsageEvent
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import options
from tests.factories import TenantFactory
from tests.samples import samples
from tests.servers import running_site
from tests.vendor.running import RunningVendor


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_documented_clients_get_their_answers(vendor: RunningVendor, subtests: pytest.Subtests) -> None:
    tenant = TenantFactory.create()
    keys = issue_site_keys(tenant)
    with running_site("uvicorn", options(vendor.url)) as url:
        environment = os.environ | {
            "WP_AI_URL": f"{url}/wp-ai",
            "WP_AI_KEY_ID": keys.hmac.credential.key_id,
            "WP_AI_SECRET": keys.hmac.secret,
            "WP_AI_API_KEY": keys.api_key.secret,
            "WP_AI_JWT_KID": keys.jwt.credential.key_id,
            "WP_AI_JWT_SECRET": keys.jwt.secret,
        }
        for sample in samples("client"):
            with subtests.test(sample.id):
                command = [sys.executable, "-c", sample.source]
                result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                assert result.returncode == 0, result.stderr
                assert result.stdout.strip()
    rows = UsageEvent.objects.for_tenant(tenant)
    assert rows.count() >= len(samples("client"))
    assert not rows.exclude(state=UsageEvent.State.SETTLED).exists()
