"""Configuration as a document: read it, check it, plan the change, apply it, write it out again."""
