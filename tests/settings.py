"""Settings of the test process: a home of its own, so no test touches anything of a real installation.

pytest-django reads settings before any conftest, and each xdist worker is a process of its own; so the home is made here.
`TEST_DATABASE_URL` gives PostgreSQL (see tools/postgres.py); without it the database is SQLite below the home.
"""

import atexit
import os
import shutil
import tempfile

os.environ["FUSTOR_HOME"] = tempfile.mkdtemp(prefix="fustor-test-")
atexit.register(shutil.rmtree, os.environ["FUSTOR_HOME"], ignore_errors=True)
for variable in ("DATABASE_URL", "FUSTOR_REDIS_URL", "FUSTOR_ADMIN_PASSWORD"):
    os.environ.pop(variable, None)
if test_database_url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = test_database_url
    os.environ["FUSTOR_TEST_DB_NAME"] = f"test_fustor_{os.getpid()}"

from fustor_site.settings import *  # noqa: E402, F403 - everything else is as in production
