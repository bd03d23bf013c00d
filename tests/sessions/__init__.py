"""Tests of apps.sessions: the pure parts, the services on a real database, and the scenarios over real HTTP."""
