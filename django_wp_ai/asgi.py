"""The short way in under an ASGI server: calls to this app pass by the host's middleware.

``application = gateway(get_asgi_application())``. A call proves itself and carries no cookie, so sessions, CSRF tokens
and messages have nothing to do for it, and each of them costs a hop to a thread. What protects stays:
``ALLOWED_HOSTS``, and ``SecurityMiddleware`` and ``XFrameOptionsMiddleware`` where the host has them. Everything that
is not a call to this app goes to the host's application untouched.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import URLPattern, URLResolver, get_resolver, reverse, set_script_prefix
from django.urls import get_script_prefix as current_script_prefix
from django.urls.exceptions import Resolver404
from django.urls.resolvers import ResolverMatch, RoutePattern
from django.utils.module_loading import import_string

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

KEPT_MIDDLEWARE = (SecurityMiddleware, XFrameOptionsMiddleware)
MATCH = "django_wp_ai.match"


def gateway(application: Application) -> Application:
    """``application`` with a short way in for this app's calls; Django must be set up, as it is for the host's own."""
    calls = CallHandler()

    async def entry(scope: Scope, receive: Receive, send: Send) -> None:
        match = calls.match(scope) if scope["type"] == "http" else None
        if match is None:
            await application(scope, receive, send)
        else:
            scope[MATCH] = match
            await calls(scope, receive, send)

    return entry


class CallHandler(ASGIHandler):
    """Django's handler for this app's asynchronous views alone, without hops to threads."""

    def __init__(self) -> None:
        super().__init__()
        self._routes: Routes | None = None

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002 - the signature is Django's
        """No chain but what protects."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        classes = [import_string(path) for path in settings.MIDDLEWARE]
        self._kept: list[Any] = [
            made(_never) for made in classes if isinstance(made, type) and issubclass(made, KEPT_MIDDLEWARE)
        ]
        self._answer_checked: Any = convert_exception_to_response(self._answer)
        self._middleware_chain = convert_exception_to_response(self._protected)

    def match(self, scope: Scope) -> ResolverMatch | None:
        """The view of this app that the request is for."""
        if self._routes is None:  # not at import: the host's URLs may import the host's ASGI module
            self._routes = Routes()
        path: str = scope["path"]
        script = get_script_prefix(scope).rstrip("/")
        return self._routes.match(path.removeprefix(script) if path.startswith(f"{script}/") else path)

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """What ``match`` found."""
        assert isinstance(request, ASGIRequest)
        match: ResolverMatch = request.scope[MATCH]
        request.resolver_match = match
        return match

    async def _protected(self, request: HttpRequest) -> HttpResponseBase:
        """What the kept middleware does, called as plain functions: they only read settings and write headers."""
        response: Any = None
        passed = []
        for middleware in self._kept:
            passed.append(middleware)
            if hasattr(middleware, "process_request") and (response := middleware.process_request(request)):
                break
        if response is None:
            response = await self._answer_checked(request)
        for middleware in reversed(passed):
            response = middleware.process_response(request, response)
        answer: HttpResponseBase = response
        return answer

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        """As ``CommonMiddleware``: the host must be an allowed one, a whole reply has a length."""
        request.get_host()
        response: HttpResponseBase = await self._get_response_async(request)  # type: ignore[attr-defined]  # not in the stubs
        if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
        return response

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As Django's, but that signals are sent only where others listen than Django, which tends connections.

        Those are tended by ``bridge`` on the threads that have them.
        """
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body_file):
            set_script_prefix(get_script_prefix(scope))
            if _is_listened_to(signals.request_started):
                await signals.request_started.asend(sender=type(self), scope=scope)
            request, refusal = self.create_request(scope, body_file)
            if request is not None:
                await self._answer_while_listening(request, receive, send)
            elif refusal is not None:
                await self.send_response(refusal, send)
                await self._finish(refusal)

    async def _answer_while_listening(self, request: ASGIRequest, receive: Receive, send: Send) -> None:
        """Answer unless the client leaves: then the view is cancelled."""
        response: HttpResponseBase | None = None
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self.listen_for_disconnect(receive))
                response = await self.run_get_response(request)
                await self.send_response(response, send)
                listening.cancel()
        except BaseExceptionGroup as failures:
            _, others = failures.split(RequestAborted)
            if others is not None:
                raise others.exceptions[0] if len(others.exceptions) == 1 else others from None
        finally:
            await self._finish(response)

    async def _finish(self, response: HttpResponseBase | None) -> None:
        if _is_listened_to(signals.request_finished):
            if response is None:
                await signals.request_finished.asend(sender=type(self))
            else:
                await sync_to_async(response.close)()
        elif response is not None:
            response.close()


class Routes:
    """This app's views where the host mounted them."""

    def __init__(self) -> None:
        from django_wp_ai.urls import urlpatterns

        self._mount = reverse("django_wp_ai:chat").removeprefix(current_script_prefix()).removesuffix("v1/chat")
        patterns = [pattern for pattern in urlpatterns if isinstance(pattern, URLPattern)]
        self._views = {pattern.callback for pattern in patterns if iscoroutinefunction(pattern.callback)}
        self._known = {
            path: match
            for pattern in patterns
            if isinstance(pattern.pattern, RoutePattern) and not pattern.pattern.converters
            if (match := self._resolve(path := f"/{self._mount}{pattern.pattern}")) is not None
        }

    def match(self, path: str) -> ResolverMatch | None:
        """The view at ``path``, if it is one of ours."""
        if not path.startswith(self._mount, 1):
            return None
        return self._known.get(path) or self._resolve(path)

    def _resolve(self, path: str) -> ResolverMatch | None:
        resolver: URLResolver = get_resolver()
        try:
            match = resolver.resolve(path)
        except Resolver404:
            return None
        return match if match.func in self._views else None


def _is_listened_to(signal: Signal) -> bool:
    """Whether somebody but Django itself listens, a tracer for example."""
    for entry in signal.receivers:
        receiver = entry[1]() if isinstance(entry[1], weakref.ReferenceType) else entry[1]
        if receiver is not None and not str(getattr(receiver, "__module__", "")).startswith("django."):
            return True
    return False


def _never(_: HttpRequest) -> HttpResponseBase:
    raise RuntimeError("The kept middleware is never called as a chain.")
