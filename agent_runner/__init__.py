"""Runs on every host, never imports Django: control plane, data plane, sources, senders, job worker."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("fustor")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0.1.0"
