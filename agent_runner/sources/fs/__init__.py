"""Source driver `fs`: one directory tree, watched (watcher.py) and scanned (scanner.py); `source.py` is the driver itself.

Nothing is imported here: the listing processes start with the few modules that they need.
"""
