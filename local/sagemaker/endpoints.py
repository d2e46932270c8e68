"""Endpoints: from Creating or Updating to InService or Failed, with real processes behind them."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.cloudwatch import models as cloudwatch
from moto.sagemaker.models import FakeEndpoint

from local.sagemaker import capture
from local.sagemaker.capture import Capture
from local.sagemaker.deployment_policy import Policy, policy
from local.sagemaker.errors import JobFailed, unsupported, validation
from local.sagemaker.fleet import HEALTH_CHECK_SECONDS, Fleet, VariantPlan
from local.sagemaker.rollout import RolledBack, Stage, Traffic, shift
from local.sagemaker.validation import check_name

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

MAX_REASON = 1024
Key = tuple[str, str, str]  # account, region, endpoint name


class Endpoints:
    """Creates, updates and deletes endpoints in moto's SageMaker backends.

    The record moto keeps of an endpoint is replaced by a changed copy, never changed in place: Describe and
    List, which run in other threads, always see one consistent state.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._traffic: dict[Key, Traffic] = {}

    def create(
        self,
        backend: Any,
        name: str,
        config_name: str,
        tags: list[dict[str, str]] | None,
        deployment_config: Mapping[str, Any] | None = None,
    ) -> Any:
        """Record the endpoint as Creating, start its processes, return moto's record of it."""
        check_name(name, "endpointName")
        config = find_config(backend, config_name)
        fleet = self._fleet(backend, name, config)
        asked = policy(deployment_config, fleet.instance_count)
        _check_alarms(backend, asked)
        with self._lock:
            if name in backend.endpoints:
                raise validation(f'Cannot create already existing endpoint "{backend.endpoints[name].arn}".')
            record = FakeEndpoint(
                account_id=backend.account_id,
                region_name=backend.region_name,
                endpoint_name=name,
                endpoint_config_name=config_name,
                production_variants=[],
                data_capture_config=fleet.captured,
                tags=tags,
            )
            record.endpoint_status = "Creating"
            record.production_variants = fleet.describe(up=False)
            record.creation_time = record.last_modified_time = datetime.now(UTC).replace(tzinfo=None)
            record.last_deployment_config = deployment_config
            backend.endpoints[name] = record
            traffic = self._traffic[_key(backend, name)] = Traffic(pending=fleet)
        self._in_background(self._bring_up, backend, name, traffic, fleet)
        return record

    def update(
        self,
        backend: Any,
        name: str,
        config_name: str,
        *,
        retain: bool,
        excluded: Set[str],
        deployment_config: Mapping[str, Any] | None = None,
        retain_deployment_config: bool = False,
    ) -> Any:
        """Start the new configuration beside the old one, shift the traffic, then stop the old one.

        `retain` is RetainAllVariantProperties, `excluded` the VariantPropertyTypes it does not hold for.
        """
        config = find_config(backend, config_name)
        with self._lock:
            record, traffic, serving = self._to_change(backend, name)
            if retain_deployment_config:
                deployment_config = record.last_deployment_config
            fleet = self._fleet(backend, name, config, serving if retain else None, excluded)
            asked = policy(deployment_config, fleet.instance_count)
            _check_guardrails(fleet, asked)
            _check_alarms(backend, asked)
            traffic.pending = fleet
            updated = self._change(
                backend,
                name,
                endpoint_status="Updating",
                failure_reason=None,
                last_deployment_config=deployment_config,
            )
        self._in_background(self._roll_over, backend, name, traffic, asked)
        return updated

    def resize(self, backend: Any, name: str, wanted: Sequence[Mapping[str, Any]]) -> Any:
        """Give variants other weights, at once, and other numbers of instances, in the background."""
        with self._lock:
            record, _, serving = self._to_change(backend, name)
            for each in wanted:
                if each["VariantName"] not in serving.variants:
                    raise validation(f'Could not find variant "{each["VariantName"]}" of "{record.arn}".')
                if serving.variants[each["VariantName"]].plan.serverless and "DesiredInstanceCount" in each:
                    raise validation("DesiredInstanceCount is not for a serverless variant.")
            updated = self._change(backend, name, endpoint_status="Updating", failure_reason=None)
        self._in_background(self._resize, backend, name, serving, wanted)
        return updated

    def delete(self, backend: Any, name: str) -> None:
        """Mark the endpoint as Deleting, stop its processes, then forget it."""
        with self._lock:
            record = find_endpoint(backend, name)
            if record.endpoint_status == "Deleting":
                return
            traffic = self._traffic[_key(backend, name)]
            traffic.ended.set()
            self._change(backend, name, endpoint_status="Deleting")
            if traffic.pending is not None:
                traffic.pending.cancel()
        self._in_background(self._tear_down, backend, name, traffic)

    def fleets(self, account: str, region: str, name: str) -> list[Fleet]:
        """The fleets a request may go to, the one that it is sent to first; none where nothing is in service."""
        traffic = self._traffic.get((account, region, name))
        return [] if traffic is None else traffic.draw()

    # --- in the background

    def _bring_up(self, backend: Any, name: str, traffic: Traffic, fleet: Fleet) -> None:
        reason = self._failure(name, fleet.start)
        with self._lock:
            traffic.pending = None
            if not traffic.ended.is_set():
                if reason is None:
                    traffic.serving = fleet
                    variants = fleet.describe(up=True)
                    self._change(backend, name, endpoint_status="InService", production_variants=variants)
                else:
                    self._change(backend, name, endpoint_status="Failed", failure_reason=reason)
                return
        fleet.stop()

    def _roll_over(self, backend: Any, name: str, traffic: Traffic, asked: Policy) -> None:
        fleet, old = traffic.pending, traffic.serving
        assert fleet is not None
        assert old is not None
        begun = datetime.now(UTC)

        def tell(stage: Stage, message: str) -> None:
            with self._lock:
                if not traffic.ended.is_set():
                    pending = _pending(fleet, traffic.share, stage, message, begun)
                    variants = old.describe(up=True, share=1 - traffic.share)
                    self._change(
                        backend, name, pending_deployment_summary=pending, production_variants=variants
                    )

        try:
            reason = self._failure(
                name, lambda: shift(traffic, asked, lambda: _raised(backend, asked.alarms), tell)
            )
        except RolledBack as error:
            reason = str(error)
            with self._lock:
                if not traffic.ended.is_set():
                    self._change(backend, name, endpoint_status="RollingBack", failure_reason=reason)
        status = "InService"
        # What a rolling update has taken of the old fleet is back before all the traffic is.
        if reason is not None and (lost := self._failure(name, old.restore)):
            status, reason = "UpdateRollbackFailed", f"{reason} The old fleet did not come back whole: {lost}"
        with self._lock:
            traffic.share = 0.0
            traffic.pending = None
            retired = fleet
            if not traffic.ended.is_set():
                if reason is None:
                    traffic.serving, retired = fleet, old
                # As on AWS: without the new one, in service on the old configuration, with the reason.
                self._change(
                    backend,
                    name,
                    endpoint_status=status,
                    endpoint_config_name=(traffic.serving or old).config_name,
                    data_capture_config=(traffic.serving or old).captured,
                    production_variants=(traffic.serving or old).describe(up=True),
                    pending_deployment_summary=None,
                    failure_reason=reason and reason[:MAX_REASON],
                )
        retired.drain()

    def _resize(self, backend: Any, name: str, fleet: Fleet, wanted: Sequence[Mapping[str, Any]]) -> None:
        def resize() -> None:
            for each in wanted:
                if "DesiredWeight" in each:
                    fleet.weigh(each["VariantName"], float(each["DesiredWeight"]))
            for each in wanted:
                if "DesiredInstanceCount" in each:
                    fleet.resize(each["VariantName"], int(each["DesiredInstanceCount"]))

        reason = self._failure(name, resize)
        with self._lock:
            if backend.endpoints.get(name) and backend.endpoints[name].endpoint_status != "Deleting":
                self._change(
                    backend,
                    name,
                    endpoint_status="InService",
                    production_variants=fleet.describe(up=True),
                    failure_reason=reason,
                )

    def _tear_down(self, backend: Any, name: str, traffic: Traffic) -> None:
        fleets = [fleet for fleet in (traffic.serving, traffic.pending) if fleet is not None]
        for fleet in fleets:
            fleet.stop()
        with self._lock:
            backend.endpoints.pop(name, None)
            self._traffic.pop(_key(backend, name), None)

    def _failure(self, name: str, work: Callable[[], None]) -> str | None:
        """Do what brings a fleet up; None when that went well, else why it did not."""
        try:
            work()
        except JobFailed as error:
            return str(error)[:MAX_REASON]
        except RolledBack:
            raise
        except Exception as error:
            # A fault of the local AWS itself must not leave an endpoint Creating for ever.
            if not self._context.stopping.is_set():
                logger.exception("endpoint %s failed inside the local AWS", name)
            return f"InternalServerError: the local AWS failed: {type(error).__name__}: {error}"[:MAX_REASON]
        return None

    def _to_change(self, backend: Any, name: str) -> tuple[Any, Traffic, Fleet]:
        """Find an endpoint that may be changed now: its record, its traffic and the fleet in service."""
        record = find_endpoint(backend, name)
        traffic = self._traffic[_key(backend, name)]
        if record.endpoint_status in {"Creating", "Updating", "RollingBack", "Deleting"}:
            raise validation(f'Cannot update in-progress endpoint "{record.arn}".')
        if record.endpoint_status != "InService" or traffic.serving is None:
            raise validation(
                f'Cannot update endpoint "{record.arn}" in status {record.endpoint_status}: '
                "DeleteEndpoint is the only operation it allows."
            )
        return record, traffic, traffic.serving

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
            config_name=config.endpoint_config_name,
            region=backend.region_name,
            root=folder / uuid4().hex[:8],
            plans=plans,
            capture=_capture(self._context, backend, name, config),
            captured=capture.summary(config.data_capture_config),
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


def _capture(context: Context, backend: Any, name: str, config: Any) -> Capture | None:
    asked = config.data_capture_config
    if not asked or not asked.get("EnableCapture"):
        return None
    return Capture(context, region=backend.region_name, endpoint=name, config=asked)


def _check_guardrails(fleet: Fleet, asked: Policy) -> None:
    guarded = asked != Policy()
    if guarded and any(variant.plan.serverless for variant in fleet.variants.values()):
        raise validation("DeploymentConfig is not supported for an endpoint with a serverless variant.")


def _check_alarms(backend: Any, asked: Policy) -> None:
    known = cloudwatch.cloudwatch_backends[backend.account_id][backend.region_name].alarms
    missing = [name for name in asked.alarms if name not in known]
    if missing:
        raise validation(f"Could not find alarm(s): {', '.join(missing)}.")


def _raised(backend: Any, names: Sequence[str]) -> list[str]:
    """Which of the alarms are in ALARM, or were deleted: nothing would watch for what they stood for."""
    known = cloudwatch.cloudwatch_backends[backend.account_id][backend.region_name].alarms
    return [name for name in names if name not in known or known[name].state_value == "ALARM"]


def _pending(fleet: Fleet, share: float, stage: Stage, message: str, begun: datetime) -> dict[str, Any]:
    """Give DescribeEndpoint's PendingDeploymentSummary."""
    status = [{"Status": stage, "StatusMessage": message, "StartTime": datetime.now(UTC)}]
    variants = [
        {**each, "VariantStatus": status} for each in fleet.describe(up=stage != "Creating", share=share)
    ]
    return {"EndpointConfigName": fleet.config_name, "ProductionVariants": variants, "StartTime": begun}
