"""The documentation's shell and PHP samples, pasted into a terminal beside a running demo."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from django_wp_ai.security import secrets, webhook_signatures
from tests.e2e.demo_process import Demo
from tests.e2e.documents import until_indexed
from tests.samples import Sample, samples

pytestmark = pytest.mark.e2e
COMMANDS = {"shell": ["bash", "-euo", "pipefail"], "php": ["php", "-d", "error_reporting=E_ALL"]}


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo of its own, as some samples hand documents in; its content is indexed."""
    with Demo(tmp_path_factory.mktemp("documented")).wait() as running:
        until_indexed(running)
        yield running


@pytest.mark.parametrize("sample", samples("shell") + samples("php"), ids=lambda sample: sample.id)
def test_a_documented_call_gets_its_answer(sample: Sample, documented: Demo) -> None:
    keys = documented.info
    environment = os.environ | {
        "WP_AI_URL": keys["base_url"] + keys["mount"].rstrip("/"),
        "WP_AI_KEY_ID": keys["hmac"]["keyid"],
        "WP_AI_SECRET": keys["hmac"]["secret"],
        "WP_AI_API_KEY": keys["api_key"],
        "WP_AI_LEGACY_SECRET": keys["legacy"]["wp-signature"]["secret"],
    }
    result = subprocess.run(
        COMMANDS[sample.kind], input=sample.source, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    answers = (
        "Extractive answer",
        "offline",
        '"status": "queued"',
        '"status": "pending"',
        '"status":"succeeded"',
        '"results": [{',
    )
    assert any(answer in result.stdout for answer in answers), result.stdout
    assert '"code"' not in result.stdout


@pytest.mark.parametrize(
    "sample", [sample for sample in samples("receiver") if sample.language == "php"], ids=lambda sample: sample.id
)
def test_a_documented_receiver_in_php_takes_what_is_signed_and_nothing_else(sample: Sample) -> None:
    secret = secrets.new_callback_secret()
    body = json.dumps({"type": "job.succeeded", "data": {"text": "Grüße"}}, ensure_ascii=False)
    headers = webhook_signatures.sign(body.encode(), [secret], message_id="msg_1", timestamp=int(time.time()))
    given = "getenv( 'BODY' ), json_decode( getenv( 'HEADERS' ), true ), getenv( 'SECRET' ), time()"
    call = f"echo json_encode( wpai_verified_event( {given} ) );"
    answers = []
    for sent in (body, body.replace("job", "jab")):
        environment = os.environ | {"BODY": sent, "HEADERS": json.dumps(headers), "SECRET": secret}
        source = f"{sample.source}\n{call}"
        result = subprocess.run(
            COMMANDS["php"], input=source, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        answers.append(json.loads(result.stdout))
    assert answers == [json.loads(body), None]
