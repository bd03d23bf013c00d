"""Boards: what one page shows of one object, read in a constant number of queries and rendered as named parts.

The page renders a board when it is opened; the websocket renders the same parts again when the object changes; programs get the
same state as JSON.
"""
