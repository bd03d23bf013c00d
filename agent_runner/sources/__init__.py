"""Source drivers. A source reads changes from storage; `agent_runner.drivers` finds them by entry point."""
