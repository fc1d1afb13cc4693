"""What proving who calls costs: ``python -m tests.benchmarks.signatures``.

Side by side in one run: our RFC 9421 verification and that of the library which is its oracle, then the whole of
``authenticate`` with its database and cache. Microseconds a call on one thread; the median and 99th percentile of many.
The settings are the defaults: a process remembers a credential for half a second.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ["TEST_WP_AI"] = json.dumps({"CREDENTIAL_CACHE_S": 0.5})

BODY = b'{"messages": [{"role": "user", "content": "' + b"x" * 1024 + b'"}]}'
SECRET = "a-secret-of-the-site-with-43-characters-or-so"
ROUNDS = 5_000


def measure(call: Callable[[Any], object], inputs: list[Any]) -> tuple[float, float]:
    """Median and 99th percentile in µs, one call an input after a tenth of them as warm-up."""
    times = []
    for number, value in enumerate(inputs):
        began = time.perf_counter_ns()
        call(value)
        if number >= len(inputs) // 10:
            times.append((time.perf_counter_ns() - began) / 1000)
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def verification(rounds: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Parse and verify one signed POST with a body of a kilobyte, digest and times included, nonce and look-up not."""
    from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

    from django_wp_ai.security import message_signatures
    from tests.factories import envelope
    from tests.signing import message_signature

    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> bytes:
            return SECRET.encode()

    class Message:
        method, url = "POST", "https://ai.example.org/wp-ai/v1/chat"

        def __init__(self, headers: dict[str, str]) -> None:
            self.headers = headers

    headers = message_signature("site-1", SECRET, body=BODY)
    request, message, now = envelope(headers, body=BODY), Message(headers), int(time.time())
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys())

    def ours(_: int) -> None:
        signature = message_signatures.parse(request)
        message_signatures.verify(request, signature, SECRET.encode(), now=now, window_s=300)

    def theirs(_: int) -> None:
        verifier.verify(message, max_age=timedelta(seconds=300), body=BODY)

    yield "verify RFC 9421: django_wp_ai", measure(ours, list(range(rounds)))
    yield "verify RFC 9421: http-message-signatures", measure(theirs, list(range(rounds)))


def authentication(rounds: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Envelope in, Principal out."""
    from django_wp_ai.security.authenticate import authenticate
    from tests.factories import TenantFactory, envelope, make_credential
    from tests.signing import fresh_claims, hs256, message_signature

    tenant = TenantFactory.create()
    key, shared, signer = (make_credential(kind, tenant=tenant) for kind in ("api_key", "jwt", "hmac"))
    with_key = envelope({"Authorization": f"Bearer {key.secret}"}, body=BODY)
    token = hs256(shared.secret, fresh_claims(exp=int(time.time()) + 300), kid=shared.credential.key_id)
    with_token = envelope({"Authorization": f"Bearer {token}"}, body=BODY)
    yield "authenticate: API key", measure(authenticate, [with_key] * rounds)
    yield "authenticate: JWT HS256", measure(authenticate, [with_token] * rounds)
    batch = 500  # signed shortly before use: a signature is fresh for 30 seconds
    results = []
    for _ in itertools.repeat(None, max(rounds // batch, 1)):
        signed = [message_signature(signer.credential.key_id, signer.secret, body=BODY) for _ in range(batch)]
        results.append(measure(authenticate, [envelope(headers, body=BODY) for headers in signed]))
    medians, tails = zip(*results, strict=True)
    yield "authenticate: RFC 9421 (nonce spent in Valkey)", (statistics.median(medians), statistics.median(tails))


@contextmanager
def fresh_database() -> Iterator[None]:
    """An empty migrated database, dropped at the end."""
    import django

    django.setup()
    from django.test.runner import DiscoverRunner

    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        yield
    finally:
        runner.teardown_databases(databases)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"calls of each kind (default {ROUNDS})")
    rounds = max(parser.parse_args().rounds, 100)
    print(f"{'µs a call':48}{'p50':>10}{'p99':>10}")
    with fresh_database():
        for name, (median, tail) in itertools.chain(verification(rounds), authentication(rounds)):
            print(f"{name:48}{median:10.1f}{tail:10.1f}")


if __name__ == "__main__":
    main()
