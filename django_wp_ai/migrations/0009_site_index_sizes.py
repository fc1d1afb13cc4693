"""How long the coming vectors are stands on the passages; the index of a site never knew."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("django_wp_ai", "0008_first_versions")]

    operations = [migrations.RemoveField(model_name="siteindex", name="next_dimensions")]
