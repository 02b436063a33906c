"""Every parser that bytes of strangers reach."""

from __future__ import annotations

from tests.fuzz import http_targets, service_targets, wire_targets

TARGETS = {target.name: target for target in (*wire_targets.TARGETS, *service_targets.TARGETS, *http_targets.TARGETS)}
