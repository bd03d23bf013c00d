"""The version of this agent, as installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("fustor")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0.1.0"
