"""What the user typed -> the moment to go back to: a date and time, or another kind of moment; manifests."""

from . import kinds, manifest
from .dates import Moment, ago, clock, parse, zone_named

__all__ = ["Moment", "ago", "clock", "kinds", "manifest", "parse", "zone_named"]
