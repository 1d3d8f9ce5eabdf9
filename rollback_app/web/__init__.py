"""The read-only page in the admin: deployments, what holds `migrate`, rollbacks, kept data, and the plan of each rollback.

path("admin/rollbacks/", include("rollback_app.web.urls")),  # before the admin's own
"""
