"""Tests over real HTTP against server processes of their own, and what they are made of."""
