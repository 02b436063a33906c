"""Proofs that what a 200 promises holds: docs/durability.md says how each works and how it is run."""
