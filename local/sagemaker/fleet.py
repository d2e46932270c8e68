"""The serving processes behind one endpoint configuration, brought up together and routed by variant."""

from __future__ import annotations

import random
import shutil
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import images
from local.sagemaker import storage
from local.sagemaker.errors import JobFailed
from local.sagemaker.instance import Instance, Serving
from local.sagemaker.logs import LogStream

if TYPE_CHECKING:
    from local.context import Context

HEALTH_CHECK_SECONDS = 300.0


@dataclass(frozen=True)
class VariantPlan:
    """A production variant as the endpoint configuration and its model describe it."""

    name: str
    image_uri: str
    model_data_url: str | None
    environment: dict[str, str]
    instance_count: int
    weight: float
    health_check_seconds: float = HEALTH_CHECK_SECONDS
    serverless: dict[str, Any] | None = None


@dataclass
class Variant:
    """A variant's plan and its instances."""

    plan: VariantPlan
    instances: list[Instance] = field(default_factory=list)

    def least_busy(self) -> Instance | None:
        """The ready instance with the fewest requests in flight; None when none is ready."""
        ready = [instance for instance in self.instances if instance.pool is not None]
        return min(ready, key=lambda instance: instance.in_flight, default=None)

    def describe(self, *, up: bool) -> dict[str, Any]:
        """A member of DescribeEndpoint's ProductionVariants."""
        now = datetime.now(UTC)
        count = self.plan.instance_count
        answer: dict[str, Any] = {
            "VariantName": self.plan.name,
            "CurrentWeight": self.plan.weight if up else 0.0,
            "DesiredWeight": self.plan.weight,
        }
        if up:
            uri = self.plan.image_uri
            answer["DeployedImages"] = [{"SpecifiedImage": uri, "ResolvedImage": uri, "ResolutionTime": now}]
        if self.plan.serverless is None:
            return {**answer, "CurrentInstanceCount": count if up else 0, "DesiredInstanceCount": count}
        settings = self.plan.serverless
        return {**answer, "CurrentServerlessConfig": settings, "DesiredServerlessConfig": settings}


class Fleet:
    """All variants of one configuration of one endpoint."""

    def __init__(
        self, context: Context, *, endpoint_name: str, region: str, root: Path, plans: list[VariantPlan]
    ) -> None:
        self.variants = {plan.name: Variant(plan) for plan in plans}
        self._context = context
        self._endpoint_name = endpoint_name
        self._region = region
        self._root = root
        self._cancelled = threading.Event()

    def start(self) -> None:
        """Bring all instances into service; raise JobFailed, with none left running, when one fails."""
        try:
            for variant in self.variants.values():
                self._start_variant(variant)
        except BaseException:
            self.stop()
            raise

    def cancel(self) -> None:
        """Make a `start` in another thread give up soon."""
        self._cancelled.set()
        for variant in self.variants.values():
            for instance in list(variant.instances):
                instance.cancel()

    def stop(self) -> None:
        self.cancel()
        instances = [instance for variant in self.variants.values() for instance in variant.instances]
        threads = [threading.Thread(target=instance.stop, daemon=True) for instance in instances]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shutil.rmtree(self._root, ignore_errors=True)

    def choose(self, target_variant: str | None) -> Variant | None:
        """The named variant (None when unknown), or one drawn by the variants' weights."""
        if target_variant is not None:
            return self.variants.get(target_variant)
        variants = list(self.variants.values())
        if len(variants) == 1:
            return variants[0]
        weights = [variant.plan.weight for variant in variants]
        return random.choices(variants, weights)[0]  # noqa: S311 - routing, not secrecy

    def describe(self, *, up: bool) -> list[dict[str, Any]]:
        return [variant.describe(up=up) for variant in self.variants.values()]

    def _start_variant(self, variant: Variant) -> None:
        plan = variant.plan
        try:
            image = images.resolve(self._context.state_dir, plan.image_uri)
        except (images.ImageNotFound, images.ImageNotRunnable) as error:
            raise JobFailed(f"ClientError: {error}") from error
        root = self._root / plan.name
        model = root / "opt" / "ml" / "model"
        model.mkdir(parents=True, exist_ok=True)
        if plan.model_data_url:
            storage.download_model(self._context.client("s3", self._region), plan.model_data_url, model)
        serving = Serving(
            unhealthy=(
                f"The primary container for production variant {plan.name} did not pass the ping health check. "
                "Please check CloudWatch logs for this endpoint."
            ),
            image=image,
            environment=plan.environment,
            root=root,
            health_check_seconds=plan.health_check_seconds,
        )
        for number in range(plan.instance_count):
            stream = f"{plan.name}/i-{self._root.name}-{number}"
            group = f"/aws/sagemaker/Endpoints/{self._endpoint_name}"
            instance = Instance(self._context, serving, LogStream(self._context, self._region, group, stream))
            variant.instances.append(instance)
            if self._cancelled.is_set():
                raise JobFailed("The endpoint was deleted while it started.")
            instance.start()
