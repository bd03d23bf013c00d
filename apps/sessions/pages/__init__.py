"""Console pages of what is happening: overview, pipes, views, sessions, jobs. Routed by apps.sessions.urls."""
