"""Endpoints: from Creating or Updating to InService or Failed, with real processes behind them."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.sagemaker.models import FakeEndpoint

from local.sagemaker.errors import JobFailed, unsupported, validation
from local.sagemaker.fleet import HEALTH_CHECK_SECONDS, Fleet, VariantPlan
from local.sagemaker.validation import check_name

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

MAX_REASON = 1024
Key = tuple[str, str, str]  # account, region, endpoint name


@dataclass
class Deployment:
    """What runs for one endpoint: the fleet that serves and the one that comes up."""

    serving: Fleet | None = None
    pending: Fleet | None = None
    deleted: bool = False


class Endpoints:
    """Creates, updates and deletes endpoints in moto's SageMaker backends.

    The record moto keeps of an endpoint is replaced by a changed copy, never changed in place: Describe and
    List, which run in other threads, always see one consistent state.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._deployments: dict[Key, Deployment] = {}

    def create(self, backend: Any, name: str, config_name: str, tags: list[dict[str, str]] | None) -> Any:
        """Record the endpoint as Creating, start its processes, return moto's record of it."""
        check_name(name, "endpointName")
        config = find_config(backend, config_name)
        fleet = self._fleet(backend, name, config)
        with self._lock:
            if name in backend.endpoints:
                raise validation(f'Cannot create already existing endpoint "{backend.endpoints[name].arn}".')
            record = FakeEndpoint(
                account_id=backend.account_id,
                region_name=backend.region_name,
                endpoint_name=name,
                endpoint_config_name=config_name,
                production_variants=[],
                data_capture_config=None,
                tags=tags,
            )
            record.endpoint_status = "Creating"
            record.production_variants = fleet.describe(up=False)
            record.creation_time = record.last_modified_time = datetime.now(UTC).replace(tzinfo=None)
            backend.endpoints[name] = record
            deployment = self._deployments[_key(backend, name)] = Deployment(pending=fleet)
        self._in_background(self._bring_up, backend, name, deployment, fleet)
        return record

    def update(self, backend: Any, name: str, config_name: str, *, retain: bool, excluded: Set[str]) -> Any:
        """Start the new configuration beside the old one, switch, then stop the old one.

        `retain` is RetainAllVariantProperties, `excluded` the VariantPropertyTypes it does not hold for.
        """
        config = find_config(backend, config_name)
        with self._lock:
            record = find_endpoint(backend, name)
            deployment = self._deployments[_key(backend, name)]
            if record.endpoint_status in {"Creating", "Updating", "Deleting"}:
                raise validation(f'Cannot update in-progress endpoint "{record.arn}".')
            if record.endpoint_status != "InService" or deployment.serving is None:
                raise validation(
                    f'Cannot update endpoint "{record.arn}" in status {record.endpoint_status}: '
                    "DeleteEndpoint is the only operation it allows."
                )
            kept = deployment.serving if retain else None
            fleet = self._fleet(backend, name, config, kept, excluded)
            deployment.pending = fleet
            updated = self._change(backend, name, endpoint_status="Updating", failure_reason=None)
        self._in_background(self._roll_over, backend, name, deployment, fleet, config_name)
        return updated

    def delete(self, backend: Any, name: str) -> None:
        """Mark the endpoint as Deleting, stop its processes, then forget it."""
        with self._lock:
            record = find_endpoint(backend, name)
            if record.endpoint_status == "Deleting":
                return
            deployment = self._deployments[_key(backend, name)]
            deployment.deleted = True
            self._change(backend, name, endpoint_status="Deleting")
            if deployment.pending is not None:
                deployment.pending.cancel()
        self._in_background(self._tear_down, backend, name, deployment)

    def serving_fleet(self, account: str, region: str, name: str) -> Fleet | None:
        """The fleet that answers requests; None for an endpoint that is unknown or not in service."""
        deployment = self._deployments.get((account, region, name))
        return None if deployment is None or deployment.deleted else deployment.serving

    # --- in the background

    def _bring_up(self, backend: Any, name: str, deployment: Deployment, fleet: Fleet) -> None:
        reason = self._start(name, fleet)
        with self._lock:
            deployment.pending = None
            if not deployment.deleted:
                if reason is None:
                    deployment.serving = fleet
                    variants = fleet.describe(up=True)
                    self._change(backend, name, endpoint_status="InService", production_variants=variants)
                else:
                    self._change(backend, name, endpoint_status="Failed", failure_reason=reason)
                return
        fleet.stop()

    def _roll_over(
        self, backend: Any, name: str, deployment: Deployment, fleet: Fleet, config_name: str
    ) -> None:
        reason = self._start(name, fleet)
        with self._lock:
            deployment.pending = None
            retired = fleet
            if not deployment.deleted and reason is None:
                retired = deployment.serving or fleet
                deployment.serving = fleet
                self._change(
                    backend,
                    name,
                    endpoint_status="InService",
                    endpoint_config_name=config_name,
                    production_variants=fleet.describe(up=True),
                )
            elif not deployment.deleted:
                # As on AWS: in service on the old configuration, with the reason the new one is not.
                self._change(backend, name, endpoint_status="InService", failure_reason=reason)
        retired.stop()

    def _tear_down(self, backend: Any, name: str, deployment: Deployment) -> None:
        fleets = [fleet for fleet in (deployment.serving, deployment.pending) if fleet is not None]
        for fleet in fleets:
            fleet.stop()
        with self._lock:
            backend.endpoints.pop(name, None)
            self._deployments.pop(_key(backend, name), None)

    def _start(self, name: str, fleet: Fleet) -> str | None:
        """Bring the fleet up; None when it is, else why it is not."""
        try:
            fleet.start()
        except JobFailed as error:
            return str(error)[:MAX_REASON]
        except Exception as error:
            # A fault of the local AWS itself must not leave an endpoint Creating for ever.
            if not self._context.stopping.is_set():
                logger.exception("endpoint %s failed inside the local AWS", name)
            return f"InternalServerError: the local AWS failed: {type(error).__name__}: {error}"[:MAX_REASON]
        return None

    def _fleet(
        self,
        backend: Any,
        name: str,
        config: Any,
        kept: Fleet | None = None,
        excluded: Set[str] = frozenset(),
    ) -> Fleet:
        plans = [_plan(backend, variant, kept, excluded) for variant in config.production_variants]
        folder = self._context.state_dir / "sagemaker" / "endpoints" / backend.region_name / name
        return Fleet(
            self._context,
            endpoint_name=name,
            region=backend.region_name,
            root=folder / uuid4().hex[:8],
            plans=plans,
        )

    @staticmethod
    def _change(backend: Any, name: str, **changes: Any) -> Any:
        record = copy.copy(backend.endpoints[name])
        record.__dict__.update(changes, last_modified_time=datetime.now(UTC).replace(tzinfo=None))
        backend.endpoints[name] = record
        return record

    def _in_background(self, work: Any, *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, name=f"endpoint-{arguments[1]}", daemon=True).start()


def _key(backend: Any, name: str) -> Key:
    return backend.account_id, backend.region_name, name


def find_config(backend: Any, name: str) -> Any:
    """Moto's record of an endpoint configuration; the API's error where there is none."""
    config = backend.endpoint_configs.get(name)
    if config is None:
        arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:endpoint-config/{name}"
        raise validation(f'Could not find endpoint configuration "{arn}".')
    return config


def find_endpoint(backend: Any, name: str) -> Any:
    """Moto's record of an endpoint; the API's error where there is none."""
    record = backend.endpoints.get(name)
    if record is None:
        arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:endpoint/{name}"
        raise validation(f'Could not find endpoint "{arn}".')
    return record


def _plan(backend: Any, variant: dict[str, Any], kept: Fleet | None, excluded: Set[str]) -> VariantPlan:
    container = model_container(backend, variant["ModelName"])
    name = variant["VariantName"]
    count = int(variant.get("InitialInstanceCount") or 1)
    weight = float(variant.get("InitialVariantWeight", 1.0))
    old = kept.variants.get(name) if kept is not None else None
    if old is not None:
        count = count if "DesiredInstanceCount" in excluded else old.plan.instance_count
        weight = weight if "DesiredWeight" in excluded else old.plan.weight
    serverless = variant.get("ServerlessConfig")
    return VariantPlan(
        name=name,
        image_uri=container["Image"],
        model_data_url=container.get("ModelDataUrl"),
        environment=container.get("Environment") or {},
        instance_count=1 if serverless else count,
        weight=weight,
        health_check_seconds=float(
            variant.get("ContainerStartupHealthCheckTimeoutInSeconds") or HEALTH_CHECK_SECONDS
        ),
        serverless=serverless,
    )


def find_model(backend: Any, name: str) -> Any:
    """Moto's record of a model; the API's error where there is none."""
    model = backend._models.get(name)
    if model is None:
        arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:model/{name}"
        raise validation(f'Could not find model "{arn}".')
    return model


def model_container(backend: Any, name: str) -> dict[str, Any]:
    """The PrimaryContainer of a model; the API's error where there is no such model, or it names no image."""
    container: dict[str, Any] = find_model(backend, name).primary_container
    if not container.get("Image"):
        raise unsupported(f"the model {name} without PrimaryContainer.Image")
    return container
