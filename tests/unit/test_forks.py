"""What a process made before it forked is not used after: threads don't live on, and sockets belong to the parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.servers import ROOT

SCRIPT = """
import asyncio, json, os, warnings
import django

django.setup()
from django_wp_ai import bridge, shared_cache
from django_wp_ai.providers import registry

def used():
    provider = registry.providers()["offline"]
    cache = shared_cache.shared_cache()
    thread = asyncio.run(bridge.in_pool(__import__("threading").get_ident))
    tool = asyncio.run(bridge.in_tool_thread(int))
    flow = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "ran"), bridge.flow_loop()).result(10)
    return provider, cache, thread, tool, flow

before = used()  # kept, so that no new object has the place of an old one
warnings.simplefilter("ignore")  # newer Pythons warn of forking with threads, which is what is tried here
reader, writer = os.pipe()
if os.fork() == 0:
    after = used()
    os.write(writer, json.dumps([after[0] is not before[0], after[1] is not before[1], after[4]]).encode())
    os._exit(0)
os.close(writer)
print(os.read(reader, 1000).decode())
os.wait()
"""


def test_a_forked_process_makes_its_own_threads_loops_and_clients() -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": "sqlite://",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", SCRIPT]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [True, True, "ran"]
