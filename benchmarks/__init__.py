"""What the server costs: `python -m benchmarks` for the table, `python -m benchmarks --help` for the rest."""
