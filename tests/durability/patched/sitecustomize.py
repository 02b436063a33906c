"""Imported by the recorded server before anything else: makes the patches that DURABILITY_PATCHES names."""

import os
import sys

if os.environ.get("DURABILITY_PATCHES"):
    from tests.durability.patches import make

    make(os.environ["DURABILITY_PATCHES"].split(","))
    sys.stderr.write(f"patched: {os.environ['DURABILITY_PATCHES']}\n")
