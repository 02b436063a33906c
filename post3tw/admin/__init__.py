"""Health and metrics, on an endpoint of their own."""
