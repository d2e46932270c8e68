"""What can go wrong between an id and its features: the class name is the error that a client is told."""

from __future__ import annotations

from sluice.errors import SluiceError


class FeatureStoreUnavailable(SluiceError):
    """The online store was not read: it is not there, throttles, or does not answer. Answered with 503."""


class UnreadableFeatures(SluiceError):
    """The online store holds what Feast does not write, or an on-demand function failed. Answered with 500."""


class UnknownEntity(SluiceError):
    """The online store has no features of an id. Answered with 404."""


class StaleFeatures(SluiceError):
    """An id's features are older than their view's ttl. Answered with 409."""


class IncompleteFeatures(SluiceError):
    """Of an id's features some are missing. Answered with 409."""
