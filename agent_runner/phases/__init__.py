"""The phases of an AgentPipe, one module each. `pipe.py` runs `message`; `jobs.py` runs the others in processes of their own."""
