"""Programs of the developers; not installed."""
