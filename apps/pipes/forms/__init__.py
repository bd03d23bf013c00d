"""Forms of configured objects, made from the schema of the object and of its driver."""
