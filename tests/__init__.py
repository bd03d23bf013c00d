"""All tests, by area and behaviour."""
