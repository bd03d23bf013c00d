"""Console pages of what is configured: receivers and keys. Routed by apps.pipes.urls."""
