"""Passages that were there before versions were are their documents' first version."""

from django.db import migrations

_FIRST = """
UPDATE django_wp_ai_document SET version = 1 WHERE version = 0 AND EXISTS (
    SELECT 1 FROM django_wp_ai_chunk WHERE django_wp_ai_chunk.document_id = django_wp_ai_document.id
)
"""


class Migration(migrations.Migration):
    dependencies = [("django_wp_ai", "0007_ingest")]

    operations = [migrations.RunSQL(_FIRST, migrations.RunSQL.noop)]
