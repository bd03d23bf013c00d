"""Template vocabulary of what is known."""
