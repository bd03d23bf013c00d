"""End to end: real agents on real directories against a real server, by scenario number."""
