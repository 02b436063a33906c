"""The names of what is counted, thin over prometheus-client."""
