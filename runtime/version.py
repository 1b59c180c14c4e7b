"""The version of this project, as its installed package states it."""

from importlib.metadata import PackageNotFoundError, version

PROJECT = "clip-curation"

try:
    __version__ = version(PROJECT)
except PackageNotFoundError:  # run from a checkout
    __version__ = "0"
