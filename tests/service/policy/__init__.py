"""Tests of the policy language and its decision."""
