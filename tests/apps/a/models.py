"""Empty, but there: Django sends pre_migrate and post_migrate only for apps that have this module."""
