"""The demo from start to stop."""

from __future__ import annotations

import errno
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import CommandError

from demo.launcher import running
from demo.launcher.data_dir import DataDir, read_json, write_private
from demo.launcher.postgres import Postgres
from demo.launcher.processes import Children
from demo.launcher.valkey import Valkey
from example import MOUNT

PROJECT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
TENANT = "demo"
ANSWER_S = 60.0
STOP_ORDER = (("web", "qcluster"), ("postgres", "valkey"))
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked the demo to stop. Not an Exception: nothing on the way may take it for a failure."""


def run_demo(data: DataDir, *, port: int, reset: bool, announce: Callable[[dict[str, Any], float], None]) -> None:
    """Run until a signal; raises CommandError with one clear line for what keeps it from running.

    ``announce`` gets the content of ``demo.json`` and the seconds it took, once the site answers.
    """
    began = time.monotonic()
    with _stop_on_signals(), ExitStack() as stack:
        try:
            data.open()
            stack.callback(data.close)
            listener = stack.enter_context(_listen(port))
            if reset:
                data.reset()
            data.demo_json.unlink(missing_ok=True)
            data.logs.mkdir(mode=0o700, exist_ok=True)
            services = _missing_services(stack, data)
            children = Children(logs=data.logs, lock_fd=data.lock_fd)
            stack.callback(children.stop, order=STOP_ORDER)
            env = _start_services(data, children, services)
            demo = _start_site(stack, data, children, env, listener)
            announce(demo, time.monotonic() - began)
            while True:
                children.check()
                time.sleep(0.2)
        finally:
            _ignore_signals()  # stopping takes its time; it is not to be interrupted half-way


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise Stopped

    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or before[number] != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            why = f"Port {port} is taken."
        else:
            why = f"Port {port} can't be used ({error.strerror})."
        raise CommandError(f"{why} Choose another one: manage.py demo --port {min(port + 1, 65535)}") from error
    return listener


def _missing_services(stack: ExitStack, data: DataDir) -> dict[str, Postgres | Valkey]:
    """The servers that the environment doesn't name already, by the variable that would name them."""
    services: dict[str, Postgres | Valkey] = {}
    if not os.environ.get("DATABASE_URL"):
        services["DATABASE_URL"] = Postgres(data)
    if not os.environ.get("REDIS_URL"):
        services["REDIS_URL"] = Valkey(data)
    for service in services.values():
        stack.callback(service.clean_up)
    return services


def _start_services(data: DataDir, children: Children, services: dict[str, Postgres | Valkey]) -> dict[str, str]:
    """Start the servers; returns the environment of the site's processes."""
    for service in services.values():
        service.start(children)
    kept = data.secrets()
    ours = {
        "DJANGO_SETTINGS_MODULE": "example.settings",
        "DATABASE_URL": os.environ.get("DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("REDIS_URL", ""),
        **{variable: service.url for variable, service in services.items()},
        "SECRET_KEY": kept["secret_key"],
        "DJANGO_WP_AI_ENCRYPTION_KEYS": kept["encryption_key"],
        "ALLOWED_HOSTS": ",".join(filter(None, ["localhost", HOST, "[::1]", os.environ.get("ALLOWED_HOSTS")])),
        "PUBLIC_HTTPS": "0",
        "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",  # the site that callbacks go to runs here too
        "STATIC_ROOT": "",
        "HOME_PAGE_TENANT": TENANT,
    }
    write_private(data.environment_json, ours)
    for service in services.values():
        service.wait()
    # PG* variables are meant for another server and would bend our connections.
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return theirs | ours | {"PYTHONUNBUFFERED": "1"}


def _start_site(
    stack: ExitStack, data: DataDir, children: Children, env: dict[str, str], listener: socket.socket
) -> dict[str, Any]:
    """Fill the database while the web process loads, then let it serve; returns what ``demo.json`` holds."""
    manage = [sys.executable, str(PROJECT / "manage.py")]
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    with theirs:
        fds = (listener.fileno(), theirs.fileno())
        command = [sys.executable, "-m", "demo.launcher.serve", *map(str, fds)]
        children.start("web", command, env=env, cwd=PROJECT, pass_fds=fds)
    base_url = "http://{}:{}".format(*listener.getsockname())
    listener.close()
    prepare = [*manage, "demo_prepare", "--keys", str(data.keys_json), "--tenant", TENANT, "--base-url", base_url]
    if "postgres" in children.pids():
        prepare.append("--own-database")
    children.run("prepare", prepare, env=env, cwd=PROJECT)
    children.start("qcluster", [*manage, "qcluster"], env=env, cwd=PROJECT)
    _hear(ours, children, data)  # that it is loaded
    ours.sendall(b"1")
    _hear(ours, children, data)  # that the content is read
    demo = _describe(read_json(data.keys_json), base_url, {"demo": os.getpid()} | children.pids())
    # Written while nobody can have had an answer: whoever gets one finds the file, whoever finds the file gets one.
    write_private(data.demo_json, demo)
    stack.callback(lambda: write_private(data.demo_json, demo | {"pids": {}}))
    ours.sendall(b"1")
    _await_answer(children, base_url)
    running.announce(data.path)
    stack.callback(running.withdraw, data.path)
    return demo


def _hear(gate: socket.socket, children: Children, data: DataDir) -> None:
    """Wait for the web process to say something."""
    if not gate.recv(16):
        children.check()
        raise CommandError(f"The web process did not load; see {data.logs / 'web.log'}.")


def _describe(keys: dict[str, Any], base_url: str, pids: dict[str, int]) -> dict[str, Any]:
    return {
        "base_url": base_url,
        "mount": f"/{MOUNT}",
        "tenant": TENANT,
        **{name: keys[name] for name in ("hmac", "jwt", "api_key", "callback_secret", "legacy")},
        "admin": {"url": f"{base_url}/admin/", **keys["admin"]},
        "pids": pids,
    }


def _await_answer(children: Children, base_url: str) -> None:
    host = base_url.removeprefix("http://")
    deadline = time.monotonic() + ANSWER_S
    status = 0
    while status != http.HTTPStatus.OK:
        children.check()
        if time.monotonic() > deadline:
            raise CommandError(f"{base_url}/ gives no answer (last status: {status or 'none'}); see logs/web.log.")
        connection = http.client.HTTPConnection(host, timeout=5)
        try:
            connection.request("GET", "/")
            status = connection.getresponse().status
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
