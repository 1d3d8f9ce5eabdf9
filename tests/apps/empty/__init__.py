"""The migrations of an app that has none, yet counts as migrated: see tests/support/projects.py."""
