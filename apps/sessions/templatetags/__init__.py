"""Template vocabulary of what is happening."""
