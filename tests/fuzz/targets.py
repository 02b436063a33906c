"""Every parser that bytes of strangers reach."""

from __future__ import annotations

from tests.fuzz import http_targets, service_targets, small_targets, wire_targets

TARGETS = {
    target.name: target
    for module in (wire_targets, small_targets, service_targets, http_targets)
    for target in module.TARGETS
}
