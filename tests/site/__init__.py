"""The site: API object, health, settings, supervisor."""
