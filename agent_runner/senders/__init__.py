"""Sender drivers. A sender carries events out; `agent_runner.drivers` finds them by entry point."""
