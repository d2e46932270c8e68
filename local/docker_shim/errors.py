"""What the shim refuses, in texts the CDK CLI passes on."""

from __future__ import annotations


class Refused(Exception):
    """A command, option or Dockerfile instruction this shim does not do; the text names it."""
