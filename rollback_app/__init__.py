"""Take a Django database back, across all apps, to where it was at a moment in time."""

__version__ = "0.1.0"
