"""Management commands of what is configured."""
