"""Tests of the agent: real directories, a real HTTP server, real processes."""
