"""The one statement that searches on PostgreSQL, put together from its legs.

``scope`` stands in every part: the tenant first, live passages only. Statistics of the words (how many passages, how
long, how many with each term) are the tenant's alone: the terms carry its mark. They are counted by the GIN index in
the same statement; a table of counts would have to be right through every swap of versions.

A small set of rows is compared one by one, which is exact; for a larger one the HNSW index is walked until enough rows
pass tenant and filters. Both branches stand in the statement, and the number of rows says which of them runs. A walk
for d of n rows among N looks at about d * N / n, so up to n = sqrt(d * N) a comparison of all is the cheaper one too.
"""

from __future__ import annotations

from django_wp_ai.rag.search.wish import K1, B, Wish

CHUNKS = '"django_wp_ai_chunk"'
SCOPE = "c.tenant_id = %(tenant)s AND c.is_live"
#: The same where terms, which carry the tenant's mark, have found the rows: the planner need not intersect two indexes.
MARKED = "c.tenant_id + 0 = %(tenant)s AND c.is_live"
GENERATING = 3000  # matches of the rarest terms that are scored; more frequent terms only add to the scores of those

#: ``ts_rank`` of one term that occurs n times is the sum of 1/i² for i up to n, divided by its limit, pi²/6; n is about
#: 1 / (limit - sum) - 0.5, which rounds to n. So how often a term occurs is read without taking the vector apart.
_LIMIT = 1.6449340668482264
_BM25 = {"k1": K1, "k1_1": K1 + 1, "b": B, "b_1": 1 - B, "limit": _LIMIT, "most": 1.6410}

_FILTERS = {
    "post_types": "c.post_type = ANY(%(post_types)s)",
    "languages": "c.language = ANY(%(languages)s)",
    "tags": "c.tags ?| %(tags)s",
    "source_ids": "c.document_id = ANY(ARRAY(SELECT d.id FROM django_wp_ai_document d WHERE d.tenant_id = %(tenant)s"
    " AND d.source_id = ANY(%(source_ids)s)))",
}

_VECTOR_LEG = """
asked AS MATERIALIZED (
    SELECT %(vector)s::halfvec({size}) AS vector
), pool AS MATERIALIZED (
    SELECT most.rows AS limit_, (
        SELECT count(*) FROM (SELECT 1 FROM {chunks} c WHERE {within} AND {embedded} LIMIT most.rows + 1) AS rows_
    ) AS found
    FROM (
        SELECT greatest(%(exact)s, sqrt(%(depth)s * greatest(reltuples, 0)))::bigint AS rows
        FROM pg_class WHERE oid = '{chunks}'::regclass
    ) AS most
), near AS MATERIALIZED (
    (
        SELECT c.id, {distance} AS distance FROM {chunks} c
        WHERE {within} AND {embedded} AND (SELECT found <= limit_ FROM pool)
        ORDER BY ({distance}) + 0 LIMIT %(depth)s
    ) UNION ALL (
        SELECT c.id, {distance} AS distance FROM {chunks} c
        WHERE {within} AND {embedded} AND (SELECT found > limit_ FROM pool)
        ORDER BY {distance} LIMIT %(depth)s
    )
), vector_leg AS (
    SELECT id, row_number() OVER (ORDER BY distance, id) AS place FROM near
)"""

_TEXT_LEG = """
total AS MATERIALIZED (
    SELECT count(*)::float8 AS chunks, greatest(avg(term_count), 1)::float8 AS length FROM {chunks} c WHERE {scope}
), counted AS MATERIALIZED (
    SELECT term.asked, term.forms, held.chunks
    FROM unnest(%(asked)s::tsquery[], %(forms)s::int[]) AS term (asked, forms)
    CROSS JOIN LATERAL (SELECT count(*) AS chunks FROM {chunks} c WHERE {marked} AND c.lexemes @@ term.asked) AS held
    WHERE held.chunks > 0
), weighted AS MATERIALIZED (
    SELECT asked, forms, ln(1 + (total.chunks - counted.chunks + 0.5) / (counted.chunks + 0.5)) AS idf,
           row_number() OVER rarest AS place, sum(counted.chunks) OVER rarest AS upto
    FROM counted CROSS JOIN total WINDOW rarest AS (ORDER BY counted.chunks, asked::text)
), worded AS MATERIALIZED (
    SELECT c.id, sums.score
    FROM {chunks} c
    CROSS JOIN total
    CROSS JOIN LATERAL (SELECT ts_delete(c.lexemes, ARRAY[]::text[]) AS lexemes OFFSET 0) AS unpacked
    CROSS JOIN LATERAL (
        SELECT sum(
            weighted.idf * times.n * {k1_1} / (times.n + {k1} * ({b_1} + {b} * c.term_count / total.length))
        ) AS score
        FROM weighted CROSS JOIN LATERAL (
            SELECT round(1 / ({limit} - least(
                {limit} * weighted.forms * ts_rank('{{1,1,1,1}}', unpacked.lexemes, weighted.asked), {most}
            )) - 0.5) AS n
            OFFSET 0
        ) AS times
    ) AS sums
    WHERE {marked}{filters} AND c.lexemes @@ (
        SELECT string_agg(asked::text, ' | ')::tsquery FROM weighted WHERE place = 1 OR upto <= %(generating)s
    )
    ORDER BY sums.score DESC, c.id LIMIT %(depth)s
), text_leg AS (
    SELECT id, score, row_number() OVER (ORDER BY score DESC, id) AS place FROM worded
)"""

_FUSED = """
fused AS (
    SELECT id, text_leg.score AS words,
           coalesce(%(vector_weight)s::float8 / (%(constant)s::float8 + vector_leg.place), 0)
           + coalesce(%(text_weight)s::float8 / (%(constant)s::float8 + text_leg.place), 0) AS score
    FROM vector_leg FULL JOIN text_leg USING (id)
)"""
_ONLY_VECTOR = """
fused AS (
    SELECT id, NULL::float8 AS words, %(vector_weight)s::float8 / (%(constant)s::float8 + place) AS score
    FROM vector_leg
)"""
_ONLY_TEXT = """
fused AS (SELECT id, score AS words, %(text_weight)s::float8 / (%(constant)s::float8 + place) AS score FROM text_leg)"""

_SHOWN = """, best AS MATERIALIZED (
    SELECT * FROM fused ORDER BY score DESC, id LIMIT %(depth)s
)
SELECT c.id, c.document_id, d.source_id, d.title, d.url, c.content, c.ordinal, c.heading_path, c.language, c.post_type,
       best.score, {similarity} AS vector, best.words, c.content_hash
FROM best
JOIN {chunks} c ON c.id = best.id AND {scope}
JOIN django_wp_ai_document d ON d.id = c.document_id
ORDER BY best.score DESC, c.id"""


def statement(wish: Wish) -> str:
    """The statement for the legs and filters of a wish; its values are named parameters."""
    legs = [leg for leg, on in ((_VECTOR_LEG, wish.vector), (_TEXT_LEG, wish.terms)) if on]
    fused = _FUSED if len(legs) == 2 else _ONLY_VECTOR if wish.vector else _ONLY_TEXT
    filters = "".join(f" AND {clause}" for name, clause in _FILTERS.items() if getattr(wish.filters, name))
    distance = similarity = embedded = "NULL::float8"
    size = len(wish.vector or ())
    if wish.vector:
        embedded = condition(wish.model, size, "c.").replace("%", "%%")
        distance = distance_to(size, "(SELECT asked.vector FROM asked)")
        similarity = f"CASE WHEN {embedded} THEN 1 - ({distance}) END"
    return ("WITH " + ",".join([*legs, fused]) + _SHOWN).format(
        chunks=CHUNKS,
        size=size,
        scope=SCOPE,
        marked=MARKED,
        filters=filters,
        within=SCOPE + filters,
        embedded=embedded,
        distance=distance,
        similarity=similarity,
        **_BM25,
    )


def distance_to(dimensions: int, asked: str) -> str:
    """The cosine distance of a row to what is asked (SQL of a halfvec), written as the index holds it."""
    return f"c.embedding::halfvec({dimensions:d}) <=> {asked}"


def condition(model: str, dimensions: int, prefix: str = "") -> str:
    """Which rows a model embedded, as literals: the planner must see that the partial index has them."""
    quoted = model.replace("'", "''")
    return f"{prefix}embedding_model = '{quoted}' AND {prefix}dimensions = {dimensions:d}"
