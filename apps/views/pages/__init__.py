"""Console pages of what is known: the explorer and what explains it. Routed by apps.views.urls."""
