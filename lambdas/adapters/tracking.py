"""The tracker that a function was deployed with."""

from __future__ import annotations

import os
from functools import cache

from lambdas.adapters.mlflow import MlflowTracker
from lambdas.adapters.mlflow_wire import RestWire
from lambdas.adapters.secrets_manager import authorization
from lambdas.adapters.settings import tracking_settings
from sluice.tracking.tracker import Tracker


@cache
def tracker() -> Tracker:
    """Make it once a process: its connection is kept.

    Raises:
        TrackingRefused: the URI names nothing that keeps runs.
    """
    told = tracking_settings()
    # As MLflow's own client, so that an ARN means the same here and in a project's code.
    elsewhere = os.environ.get("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT")
    signed_in = None if told.secret is None else authorization(told.secret)
    wire = RestWire(told.uri, custom_endpoint=elsewhere, authorization=signed_in)
    return MlflowTracker(wire, told.uri, told.artifacts, told.secret)
