"""Directories that are named on the command line."""

from __future__ import annotations

import argparse
import os


def existing(text: str) -> str:
    """Of an option: a directory that is there."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"there is no directory {text}")
    return text
