"""What every app stands on: time, ids, problems, lanes, live hints. No rules of the domain."""
