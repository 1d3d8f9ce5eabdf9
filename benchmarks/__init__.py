"""How long a rollback takes, and how much memory: `python -m benchmarks --help`, and README.md beside this file."""
