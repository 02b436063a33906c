"""The post3 command: one module a verb."""
