"""What is known: views, their stored trees, and the arbitration that decides them."""
