"""Live pages: one room per watched object and process, any number of sockets in it. See docs/live.md."""
