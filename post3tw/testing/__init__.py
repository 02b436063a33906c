"""Public: contract suites for backends, and a running server for tests."""
