"""Scripts for working on the project. Nothing here is installed with it, except that `manage.py up` uses `install`."""
