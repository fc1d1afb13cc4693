"""Which languages a site's passages are in."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

MAX_LANGUAGES = 8

#: Hops through the index from one language to the next, however many passages each has.
_LANGUAGES = """
WITH RECURSIVE spoken (language) AS (
    SELECT min(language) FROM django_wp_ai_chunk WHERE tenant_id = %(tenant)s AND is_live
    UNION ALL
    SELECT (
        SELECT min(c.language) FROM django_wp_ai_chunk c
        WHERE c.tenant_id = %(tenant)s AND c.is_live AND c.language > spoken.language
    ) FROM spoken WHERE spoken.language IS NOT NULL
)
SELECT language FROM spoken WHERE language IS NOT NULL LIMIT %(most)s
"""


def languages_of(connection: BaseDatabaseWrapper, tenant_id: int) -> list[str]:
    """The languages of the live passages, as they are written on them; a site with very many gets the first ones."""
    with connection.cursor() as cursor:
        cursor.execute(_LANGUAGES, {"tenant": tenant_id, "most": MAX_LANGUAGES})
        return [language for (language,) in cursor.fetchall()]
