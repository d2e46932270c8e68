"""What can go wrong with a template or a deployment, in texts the CDK CLI shows as they are."""

from __future__ import annotations


class TemplateError(Exception):
    """The template, a parameter or a resource's properties cannot be deployed here; nothing was changed."""


class Unresolved(Exception):
    """A value refers to a resource that does not exist yet."""

    def __init__(self, logical_id: str) -> None:
        super().__init__(logical_id)
        self.logical_id = logical_id


class ResourceFailed(Exception):
    """An operation on one resource failed; the text becomes its ResourceStatusReason."""
