"""Rollouts: a change reaches its agents in waves, and stops by itself when agents report that it fails.

`waves` says who comes when, `verdict` what to do next (both pure), `spread` gives a revision to agents, `service` holds the orders.
"""
