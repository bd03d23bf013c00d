"""What is configured: receivers, keys, pipes, agents, sources, senders."""
