"""The whole product as a stranger starts it."""
