"""WhiteNoise for an async stack.

WhiteNoise's own middleware is synchronous: under ASGI every request of the site would take two thread hops through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]  # it has no annotations

GetResponse = Callable[[HttpRequest], Any]


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # as above
    """Answers for static files, lets every other request pass in the style (sync, async) that it came in."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """A response, or under ASGI the promise of one."""
        if not self.is_async:
            return super().__call__(request)
        found = self.find_file(request.path_info) if self.autorefresh else self.files.get(request.path_info)
        if found is None:
            return self.get_response(request)
        return sync_to_async(self.read, thread_sensitive=False)(found, request)

    def read(self, static_file: Any, request: HttpRequest) -> HttpResponse:
        """The file whole: an ASGI response would collect a file iterator anyway, on the event loop."""
        streamed = self.serve(static_file, request)
        try:
            response = HttpResponse(b"".join(streamed), status=streamed.status_code)
        finally:
            streamed.close()
        del response["content-type"]
        for name, value in streamed.items():
            response[name] = value
        return response
