from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fustor_views', '0003_audit_mark'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='file',
            index=models.Index(condition=models.Q(('nlink__gt', 1)), fields=['inode'], name='file_links'),
        ),
    ]
