"""`python -m agent_runner …` is the same as `fustor-agent …`."""

import sys

from agent_runner.cli import main

if __name__ == "__main__":
    sys.exit(main())
