"""What is happening: sessions, leadership, commands, jobs, ingestion, live pages."""
