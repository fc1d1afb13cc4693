"""``manage.py demo``: what it writes, how it stops, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest

from django_wp_ai.models import Credential
from tests.e2e.demo_process import MANAGE, Demo, environment, living, manage, processes_naming
from tests.e2e.documents import until_indexed
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

LEGACY = {value for value in Credential.Profile.values if value != "rfc9421"}


def chat(info: dict, key: str) -> httpx2.Response:
    url = f"{info['base_url']}{info['mount']}v1/chat"
    return httpx2.post(
        url, headers={"X-API-Key": key}, json={"prompt": "Hello", "system": "We bake bread."}, timeout=60
    )


def test_demo_json_has_everything_a_client_needs(demo: Demo) -> None:
    info = demo.info
    assert info.keys() == {
        *("base_url", "mount", "tenant", "hmac", "jwt", "api_key", "callback_secret", "legacy", "admin", "pids")
    }
    assert info["base_url"].startswith("http://127.0.0.1:")
    assert (info["mount"], info["tenant"]) == ("/wp-ai/", "demo")
    assert info["hmac"].keys() == {"keyid", "secret"}
    assert info["jwt"].keys() == {"kid", "secret", "alg"}
    assert info["jwt"]["alg"] == "HS256"
    assert info["callback_secret"].startswith("whsec_")
    assert info["legacy"].keys() == LEGACY
    assert all(keys.keys() == {"keyid", "secret"} for keys in info["legacy"].values())
    assert info["admin"].keys() == {"url", "username", "password"}
    assert info["pids"].keys() == {"demo", "web", "qcluster", "postgres", "valkey"}
    assert info["pids"]["demo"] == demo.process.pid
    assert all(psutil.pid_exists(pid) for pid in info["pids"].values())


def test_only_the_owner_can_read_what_holds_secrets(demo: Demo) -> None:
    for name in ("demo.json", "keys.json", "secrets.json", "environment.json"):
        assert stat.S_IMODE((demo.data / name).stat().st_mode) == 0o600, name


def test_no_secret_is_on_a_command_line(demo: Demo) -> None:
    secrets = json.loads((demo.data / "secrets.json").read_text())
    for secret in (demo.info["api_key"], demo.info["hmac"]["secret"], *secrets.values()):
        assert processes_naming(secret) == []


def test_the_printed_calls_work_as_pasted(demo: Demo) -> None:
    until_indexed(demo)
    lines = [line for line in demo.output.splitlines() if line.startswith("curl ")]
    asked, whole, streamed, as_openai = (
        subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout for line in lines
    )
    assert [citation["source_id"] for citation in json.loads(asked)["citations"]] == ["page-12"]
    assert "14:00" in json.loads(whole)["content"]
    assert streamed.count('data: {"delta"') > 1
    assert streamed.endswith("data: [DONE]\n\n")
    assert "14:00" in json.loads(as_openai)["choices"][0]["message"]["content"]


def test_a_job_handed_in_is_run_by_the_demos_workers(demo: Demo) -> None:
    url, headers = f"{demo.url}/wp-ai/v1/jobs", {"X-API-Key": demo.info["api_key"]}
    body = {"kind": "chat", "input": {"prompt": "When is pickup?", "system": "Pickup is at 14:00."}}
    created = httpx2.post(url, headers=headers, json=body, timeout=60)
    assert created.status_code == 202, created.text

    def ended() -> dict:
        job = httpx2.get(f"{url}/{created.json()['id']}", headers=headers, timeout=60).json()
        return {} if job["status"] in {"queued", "running"} else job

    job = until(ended, lambda: f"the job did not end.\n{demo.output}")
    assert (job["status"], job["attempts"]) == ("succeeded", 1), job


def test_the_admin_login_works(demo: Demo) -> None:
    admin = demo.info["admin"]
    with httpx2.Client(follow_redirects=True, timeout=60) as client:
        client.get(admin["url"])
        login = {"username": admin["username"], "password": admin["password"], "next": "/admin/"}
        reply = client.post(f"{admin['url']}login/", data={**login, "csrfmiddlewaretoken": client.cookies["csrftoken"]})
        assert "Site administration" in reply.text
        assert "crumb-and-kettle.example" in client.get(f"{admin['url']}django_wp_ai/tenant/").text


def test_a_command_in_another_terminal_works_on_the_running_demo(tmp_path: Path) -> None:
    with Demo(tmp_path / "data").wait() as running:
        said = manage(
            "shell", "-v", "0", "-c", "from django_wp_ai.models import Credential as C; print(C.objects.count())"
        )
        assert said.returncode == 0, said.stderr
        assert int(said.stdout) == 4 + len(LEGACY)
        assert str(running.data) in said.stderr


def test_a_stopped_demo_leaves_no_process_and_comes_back_with_the_same_keys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data).wait() as first:
        family = first.family()
        before = first.info
        assert first.stop(signal.SIGTERM) == 0
        assert first.output.endswith("Stopped.\n")
    assert living(family) == []
    assert processes_naming(str(data)) == []
    assert json.loads((data / "demo.json").read_text())["pids"] == {}
    with Demo(data).wait() as second:
        kept = ("hmac", "jwt", "api_key", "callback_secret", "legacy")
        assert {name: second.info[name] for name in kept} == {name: before[name] for name in kept}
        assert second.info["admin"]["password"] == before["admin"]["password"]
        assert chat(second.info, before["api_key"]).status_code == 200
        assert second.stop(signal.SIGINT) == 0


def test_nothing_outlives_a_killed_launcher_and_the_data_is_usable_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data).wait() as first:
        family = first.family()
        before = first.info
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        with Demo(data).wait() as second:  # waits by itself for the end of what the first one left
            assert living(family) == []
            assert second.info["hmac"] == before["hmac"]
            assert chat(second.info, before["api_key"]).status_code == 200


@pytest.mark.parametrize("name", ["web", "qcluster", "postgres", "valkey"])
def test_a_demo_stops_and_says_so_when_a_part_of_it_dies(tmp_path: Path, name: str) -> None:
    with Demo(tmp_path / "data").wait() as running:
        family = running.family()
        os.kill(running.info["pids"][name], signal.SIGKILL)
        assert running.process.wait() == 1
        assert f"{name} was ended by signal 9" in running.output
        assert living(family) == []


def test_a_taken_port_is_said_in_one_line(demo: Demo, tmp_path: Path) -> None:
    port = demo.url.rpartition(":")[2]
    said = manage("demo", "--port", port, "--data", str(tmp_path / "data"))
    assert said.returncode == 1
    assert (
        said.stderr
        == f"CommandError: Port {port} is taken. Choose another one: manage.py demo --port {int(port) + 1}\n"
    )
    assert processes_naming(str(tmp_path)) == []


@pytest.mark.parametrize("port", ["-1", "65536", "eighty", "８０８０", ""])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    said = manage("demo", f"--port={port}", "--data", str(tmp_path / "data"))
    assert said.returncode != 0
    assert "is not a port" in said.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("options", [(), ("--reset",)])
def test_a_second_demo_on_the_same_data_is_refused(demo: Demo, options: tuple[str, ...]) -> None:
    said = manage("demo", "--port", "0", "--data", str(demo.data), *options)
    assert said.returncode == 1
    assert said.stderr.startswith(f"CommandError: A demo already runs on {demo.data} (process {demo.process.pid}).")
    assert len(said.stderr.splitlines()) == 1
    assert chat(demo.info, demo.info["api_key"]).status_code == 200


def test_a_reset_forgets_the_old_keys_and_nothing_that_is_not_the_demos(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data).wait() as first:
        before = first.info
    (data / "notes.txt").write_text("mine")
    with Demo(data, "--reset").wait() as second:
        assert second.info["hmac"]["secret"] != before["hmac"]["secret"]
        assert chat(second.info, before["api_key"]).status_code == 401
    assert (data / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("options", [(), ("--reset",)])
def test_a_folder_with_a_database_of_somebody_else_is_left_alone(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "precious").write_text("data")
    said = manage("demo", "--port", "0", "--data", str(tmp_path), *options)
    assert said.returncode == 1
    assert "holds other files named postgres" in said.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["postgres", "precious"]


def test_data_that_is_a_file_is_refused_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = manage("demo", "--port", "0", "--data", str(tmp_path / "file"))
    assert said.returncode == 1
    assert said.stderr.startswith("CommandError: Can't use ")


def test_a_demo_killed_while_it_made_its_database_recovers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data) as first:
        first.until(lambda: (data / "postgres.new").exists() or (data / "postgres").exists())
        first.stop(signal.SIGKILL)
    with Demo(data).wait() as second:
        assert chat(second.info, second.info["api_key"]).status_code == 200


def test_a_demo_killed_while_it_migrated_recovers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    log = data / "logs" / "prepare.log"
    with Demo(data) as first:
        first.until(lambda: log.exists() and "Applying" in log.read_text())
        first.stop(signal.SIGKILL)
    with Demo(data).wait() as second:
        assert chat(second.info, second.info["api_key"]).status_code == 200


def test_a_damaged_database_is_named_with_the_way_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data).wait():
        pass
    (data / "postgres" / "PG_VERSION").unlink()
    said = manage("demo", "--port", "0", "--data", str(data))
    assert said.returncode == 1
    assert "Start afresh with --reset." in said.stderr


def test_lost_keys_are_made_anew_and_the_old_ones_stop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Demo(data).wait() as first:
        before = first.info
    (data / "keys.json").unlink()
    with Demo(data).wait() as second:
        assert chat(second.info, before["api_key"]).status_code == 401
        assert chat(second.info, second.info["api_key"]).status_code == 200


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    with Demo(tmp_path / ("long-" * 20)).wait() as running:
        assert chat(running.info, running.info["api_key"]).status_code == 200


def test_two_demos_may_share_services_that_the_environment_names(tmp_path: Path) -> None:
    """Each has keys of its own for what is stored encrypted, so the first one is no demo that others use."""
    with Demo(tmp_path / "first").wait() as first:
        theirs = json.loads((first.data / "environment.json").read_text())
        named = {name: theirs[name] for name in ("DATABASE_URL", "REDIS_URL")}
        with Demo(tmp_path / "second", **named).wait() as running:
            assert running.info["pids"].keys() == {"demo", "web", "qcluster"}
            assert chat(running.info, running.info["api_key"]).status_code == 200
            assert chat(first.info, first.info["api_key"]).status_code == 200
            assert running.info["admin"]["password"] == ""  # the other demo's admin keeps its password


def test_a_demo_started_in_the_background_stops_on_sigint(tmp_path: Path) -> None:
    """A shell starts background jobs with SIGINT ignored."""
    command = [sys.executable, str(MANAGE), "demo", "--port", "0", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(
        ["bash", "-c", 'trap "" INT; exec "$@"', "-", *command], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "Stop with" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    process.stdout.close()


def test_the_port_is_bound_on_loopback_only(demo: Demo) -> None:
    listening = {
        connection.laddr.ip
        for process in demo.family()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    assert socket.gethostbyname("localhost") == "127.0.0.1"
