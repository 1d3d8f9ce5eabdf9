"""For a project's own tests: `assert_rolls_back`; and a plugin of pytest (`rollback_app.testing.plugin`)."""

from __future__ import annotations

from .asserting import assert_rolls_back

__all__ = ["assert_rolls_back"]
