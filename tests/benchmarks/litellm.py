"""LiteLLM's proxy beside the app: a key, one model at the stand-in, one worker, no database and no network.

It is not a dependency: install it into an environment of its own (``pip install "litellm[proxy]"``).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.servers import Cores, Server, serving
from tests.servers import free_port

KEY = "sk-only-for-the-benchmark"
ENVIRONMENT = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_MASTER_KEY": KEY,
    # What it would fetch at start comes with the package too.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
}


def find(named: str) -> str | None:
    """The executable: as ``named``, else by ``LITELLM``, else on the path; FileNotFoundError for a wrong name."""
    wished = named or os.environ.get("LITELLM", "")
    found = shutil.which(wished or "litellm")
    if wished and found is None:
        raise FileNotFoundError(f"{wished} is no executable.")
    return found


def version(executable: str) -> str:
    """Its number."""
    with tempfile.TemporaryDirectory(prefix="benchmark-litellm-") as folder:
        said = subprocess.run(
            [executable, "--version"], env=_environment(folder), cwd=folder, capture_output=True, text=True, check=True
        ).stdout
    found = re.search(r"\d+\.\d+\.\d+\S*", said)
    return found.group() if found else "of an unknown version"


def _environment(folder: str) -> dict[str, str]:
    """Of this process's environment it sees the path only."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": folder, **ENVIRONMENT}


def configuration(vendor_port: int) -> str:
    """The proxy's configuration: JSON is YAML too."""
    model = {
        "model": "openai/gpt-4o-mini",
        "api_base": f"http://127.0.0.1:{vendor_port}/v1",
        "api_key": "vendor-key",
    }
    return json.dumps(
        {
            "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": model}],
            "general_settings": {"master_key": KEY},
            "litellm_settings": {"telemetry": False},
        }
    )


@contextmanager
def proxy(executable: str, cores: Cores, vendor_port: int) -> Iterator[Server]:
    """The proxy on the tested core."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="benchmark-litellm-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(configuration(vendor_port), encoding="utf-8")
        command = [executable, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--num_workers", "1"]
        with serving(command, _environment(folder), cores, port=port, alive="/health/liveliness") as server:
            yield server
