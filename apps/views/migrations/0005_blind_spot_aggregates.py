from django.db import migrations, models


def look_for_deletions(apps, schema_editor):
    """Any tree may have open deletions from before; housekeeping finds out."""
    apps.get_model("fustor_views", "Tree").objects.update(blind_deletions=True)


class Migration(migrations.Migration):

    dependencies = [
        ('fustor_views', '0004_file_links'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='blindspot',
            name='one_open_blind_spot_per_path',
        ),
        migrations.AddField(
            model_name='blindspot',
            name='aggregate',
            field=models.BooleanField(default=False, help_text='Stands for the oldest records of a directory (R54)'),
        ),
        migrations.AddField(
            model_name='tree',
            name='blind_deletions',
            field=models.BooleanField(default=False, help_text='Deletions that only scans saw may be open (R41)'),
        ),
        migrations.AlterField(
            model_name='blindspot',
            name='count',
            field=models.BigIntegerField(default=1, help_text='Nodes that changed: of a subtree that went, or of an aggregate'),
        ),
        migrations.AddConstraint(
            model_name='blindspot',
            constraint=models.UniqueConstraint(condition=models.Q(('aggregate', False), ('closed_at__isnull', True)), fields=('tree', 'path'), name='one_open_blind_spot_per_path'),
        ),
        migrations.AddConstraint(
            model_name='blindspot',
            constraint=models.UniqueConstraint(condition=models.Q(('aggregate', True), ('closed_at__isnull', True)), fields=('tree', 'path', 'change'), name='one_open_aggregate_per_kind'),
        ),
        migrations.RunPython(look_for_deletions, migrations.RunPython.noop),
    ]
