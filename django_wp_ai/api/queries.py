"""Query strings are as strict as bodies: an unknown or doubled parameter is refused, not ignored."""

from __future__ import annotations

from collections.abc import Collection

from django.http import HttpRequest

from django_wp_ai.exceptions import Invalid


def require_known(request: HttpRequest, known: Collection[str]) -> None:
    """Raise Invalid for a parameter that is not among ``known``, or that is given twice."""
    for name in request.GET:
        if name not in known or len(request.GET.getlist(name)) > 1:
            message = "Given twice." if name in known else f"Known: {', '.join(sorted(known))}."
            raise Invalid(errors=[{"field": name[:64], "message": message}], param=name[:64])
