"""Template vocabulary of the console."""
