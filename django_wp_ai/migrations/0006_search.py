import django_wp_ai.models.lexemes
from django.db import migrations, models

#: Not gathered in a pending list first: that would be read through for every term of every search.
LEXEMES_INDEX = """
CREATE INDEX wpai_chunk_lexemes ON django_wp_ai_chunk USING gin (lexemes) WITH (fastupdate = off) WHERE is_live
"""

#: They are unpacked for every passage that is scored, and LZ4 does that several times faster than PostgreSQL's own way.
HAS_LZ4 = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
PACK_BY_LZ4 = "ALTER TABLE django_wp_ai_chunk ALTER COLUMN lexemes SET COMPRESSION lz4"


def index_lexemes(_, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(LEXEMES_INDEX)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(HAS_LZ4)
        if (cursor.fetchone() or [False])[0]:
            cursor.execute(PACK_BY_LZ4)


def forget_lexemes(_, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS wpai_chunk_lexemes")


class Migration(migrations.Migration):
    dependencies = [
        ("django_wp_ai", "0005_rag"),
    ]

    operations = [
        migrations.AddField(
            model_name="chunk",
            name="lexemes",
            field=django_wp_ai.models.lexemes.LexemesField(
                blank=True, editable=False, null=True, verbose_name="lexemes"
            ),
        ),
        migrations.AddField(
            model_name="chunk",
            name="term_count",
            field=models.PositiveIntegerField(default=0, editable=False, verbose_name="words"),
        ),
        migrations.AddIndex(
            model_name="chunk",
            index=models.Index(
                condition=models.Q(("is_live", True)),
                fields=["tenant", "language", "term_count"],
                name="wpai_chunk_live_language",
            ),
        ),
        migrations.AddIndex(
            model_name="chunk",
            index=models.Index(
                condition=models.Q(("is_live", True)),
                fields=["tenant", "embedding_model", "dimensions"],
                name="wpai_chunk_live_model",
            ),
        ),
        migrations.RunPython(index_lexemes, forget_lexemes),
    ]
