"""The programs of a running server (broker, web, worker, agent), how each is started, and the supervisor that keeps them up."""
