"""The loop of a call with the host's own tools: ask, run what the model calls, ask again, within a step and money cap.

Each step is a call of its own on the main street: admitted, limited, budgeted and settled on its own usage row, all
rows with one ``trace_id``.
"""

from __future__ import annotations

from dataclasses import replace

from django_wp_ai.datatypes import ChatRequest, Principal
from django_wp_ai.gateway.chat import Completed, complete
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.tools.work import Work


async def complete_with_tools(principal: Principal, request: ChatRequest, origin: Origin) -> Completed:
    """Answer whole, running the tools that ``request.server_tools`` names. Raises as ``complete`` does at any step.

    ``call`` is the last step's, with the tokens and the cost of all; ``trace`` tells what each tool did.
    """
    work = Work.begin(principal, request, origin)
    while True:
        completed = await complete(principal, work.request, work.origin)
        work.count(completed.call)
        if not work.goes_on(completed.result):
            break
        await work.run(completed.result)
    return replace(completed, call=work.total(), result=work.shown(completed.result), trace=tuple(work.trace))
