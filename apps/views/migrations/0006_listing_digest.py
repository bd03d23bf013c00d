from django.db import migrations, models

# Django would copy the whole table on SQLite; both databases add a column with a constant default at once
ADD = "ALTER TABLE fustor_views_directory ADD COLUMN listing_digest bigint NOT NULL DEFAULT 0"
DROP = "ALTER TABLE fustor_views_directory DROP COLUMN listing_digest"


class Migration(migrations.Migration):

    dependencies = [
        ('fustor_views', '0005_blind_spot_aggregates'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD, DROP)],
            state_operations=[
                migrations.AddField(
                    model_name='directory',
                    name='listing_digest',
                    field=models.BigIntegerField(db_default=0, help_text='Of a whole listing that tells exactly the files that are stored; 0: none is known'),
                ),
            ],
        ),
    ]
