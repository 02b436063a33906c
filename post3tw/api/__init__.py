"""The S3 service model: operations, their inputs and outputs, routes, parsers and serialisers. Pure; mostly generated."""
