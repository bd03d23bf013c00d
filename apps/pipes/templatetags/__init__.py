"""Template tags of what is configured."""
