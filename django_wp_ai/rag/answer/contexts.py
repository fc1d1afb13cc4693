"""From what was found to what a model is given: one number for each source, fenced, within a budget of tokens."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence

from django_wp_ai.policy.content.injection import fence
from django_wp_ai.rag.answer.question import Source
from django_wp_ai.rag.answer.quoting import Passage
from django_wp_ai.rag.search import Hit
from django_wp_ai.security import secrets

#: What a number, a title and the fence around a source cost.
TOKENS_A_SOURCE = 60


def sources_of(hits: Iterable[Hit], *, budget_tokens: int, count: Callable[[str], int]) -> list[Source]:
    """The sources in the order of their best hit, each once, with those of its chunks that fit the budget.

    The best hit is always there: the budget bounds what is added.
    """
    of_source: dict[int, list[Hit]] = {}
    left = budget_tokens
    for hit in hits:
        cost = count(hit.content) + (0 if hit.document_id in of_source else TOKENS_A_SOURCE)
        if of_source and cost > left:
            continue
        left -= cost
        of_source.setdefault(hit.document_id, []).append(hit)
    return [_source(number, found) for number, found in enumerate(of_source.values(), start=1)]


def _source(number: int, hits: list[Hit]) -> Source:
    ordered = tuple(sorted(hits, key=lambda hit: hit.ordinal))
    return Source(number, ordered, tuple(Passage(hit.content) for hit in ordered))


def written(sources: Sequence[Source]) -> str:
    """The sources as a model reads them. Only the line above a fence numbers a source; text within can't fake one."""
    return "\n\n".join(f"[{source.n}]\n{_fenced(source)}" for source in sources)


def _fenced(source: Source) -> str:
    text = "\n\n".join(_passage(source, hit) for hit in source.hits)
    # The same text has the same fence, so that a kept answer is found again; who writes the text can't foresee it.
    mark = hmac.digest(secrets.current_key("rag-fence"), text.encode("utf-8", "replace"), "sha256").hex()[:32]
    return fence(text, source.source_id, mark=mark)


def _passage(source: Source, hit: Hit) -> str:
    """A chunk under the headings it stands under, the document's title first."""
    path = [source.title, *(heading for heading in hit.heading_path if heading != source.title)]
    head = " > ".join(heading for heading in path if heading)
    return f"# {head}\n\n{hit.content}" if head else hit.content
