"""Ground of every test: a home of its own, so no test touches anything of a real installation."""

import os
import tempfile

# before Django reads its settings; each xdist worker is a process of its own, so each gets a home of its own
os.environ["FUSTOR_HOME"] = tempfile.mkdtemp(prefix="fustor-test-")
