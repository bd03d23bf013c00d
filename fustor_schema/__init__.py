"""The contract that the server and every agent import: events, file-system rows, states, wire models. No I/O."""

__version__ = "0.1.0"
