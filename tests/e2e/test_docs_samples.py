"""The documentation's shell and PHP samples, pasted into a terminal beside a running demo."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.demo_process import Demo
from tests.samples import Sample, samples

pytestmark = pytest.mark.e2e
COMMANDS = {"shell": ["bash", "-euo", "pipefail"], "php": ["php", "-d", "error_reporting=E_ALL"]}


@pytest.mark.parametrize("sample", samples("shell") + samples("php"), ids=lambda sample: sample.id)
def test_a_documented_call_gets_its_answer(sample: Sample, demo: Demo) -> None:
    keys = demo.info
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
    assert "Extractive answer" in result.stdout or "offline" in result.stdout, result.stdout
    assert '"code"' not in result.stdout
