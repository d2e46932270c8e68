"""The serving processes behind one endpoint configuration: brought up, drained, and routed to by variant."""

from __future__ import annotations

import math
import random
import shutil
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import images
from local.sagemaker import storage
from local.sagemaker.capture import Capture
from local.sagemaker.errors import JobFailed
from local.sagemaker.instance import Instance, Serving
from local.sagemaker.logs import LogStream

if TYPE_CHECKING:
    from local.context import Context

HEALTH_CHECK_SECONDS = 300.0
# As long as an invocation may take.
DRAIN_SECONDS = 60.0


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


class Variant:
    """A variant's plan and its instances. Thread-safe."""

    def __init__(self, plan: VariantPlan) -> None:
        self.plan = plan
        self.instances: list[Instance] = []
        self._changed = threading.Condition()

    def acquire(self, but: Collection[Instance] = ()) -> Instance | None:
        """Take the ready instance with the fewest requests in flight for one more; None when none is ready.

        What is taken is given back by `release`: until then `retire` waits for it.
        """
        with self._changed:
            ready = [each for each in self.instances if each.pool is not None and each not in but]
            found = min(ready, key=lambda instance: instance.in_flight, default=None)
            if found is not None:
                found.in_flight += 1
        return found

    def release(self, instance: Instance) -> None:
        with self._changed:
            instance.in_flight -= 1
            self._changed.notify_all()

    def add(self, instance: Instance) -> None:
        with self._changed:
            self.instances.append(instance)

    def remove(self, instance: Instance) -> None:
        with self._changed:
            self.instances.remove(instance)

    def retire(self, keep: int) -> list[Instance]:
        """Take all but the first `keep` out of service; give them when they have answered what they were asked."""
        with self._changed:
            kept, retired = self.instances[:keep], self.instances[keep:]
            self.instances = kept
            self._changed.wait_for(lambda: not any(each.in_flight for each in retired), DRAIN_SECONDS)
        return retired

    def describe(self, *, up: bool, share: float = 1.0) -> dict[str, Any]:
        """A member of DescribeEndpoint's ProductionVariants; `share` is its fleet's part of the traffic."""
        now = datetime.now(UTC)
        answer: dict[str, Any] = {
            "VariantName": self.plan.name,
            "CurrentWeight": self.plan.weight * share if up else 0.0,
            "DesiredWeight": self.plan.weight,
        }
        if up:
            uri = self.plan.image_uri
            answer["DeployedImages"] = [{"SpecifiedImage": uri, "ResolvedImage": uri, "ResolutionTime": now}]
        if self.plan.serverless is None:
            count = len(self.instances) if up else 0
            return {**answer, "CurrentInstanceCount": count, "DesiredInstanceCount": self.plan.instance_count}
        settings = self.plan.serverless
        return {**answer, "CurrentServerlessConfig": settings, "DesiredServerlessConfig": settings}


class Fleet:
    """All variants of one configuration of one endpoint."""

    def __init__(
        self,
        context: Context,
        *,
        endpoint_name: str,
        config_name: str,
        region: str,
        root: Path,
        plans: list[VariantPlan],
        capture: Capture | None = None,
        captured: dict[str, Any] | None = None,
    ) -> None:
        self.config_name = config_name
        self.capture = capture
        # What Describe says of it. Kept: the configuration may be deleted while the fleet serves.
        self.captured = captured
        self.variants = {plan.name: Variant(plan) for plan in plans}
        self._context = context
        self._endpoint_name = endpoint_name
        self._region = region
        self._root = root
        self._cancelled = threading.Event()
        self._servings: dict[str, Serving] = {}
        self._started = 0

    @property
    def instance_count(self) -> int:
        """How many instances it is to have."""
        return sum(variant.plan.instance_count for variant in self.variants.values())

    @property
    def is_ready(self) -> bool:
        """Whether each variant has an instance that answers."""
        return all(
            any(instance.pool is not None for instance in variant.instances)
            for variant in self.variants.values()
        )

    def start(self, share: float = 1.0) -> None:
        """Bring a share of the instances into service, those that are already there among them.

        Raises JobFailed, with none left running, when one fails.
        """
        try:
            for variant in self.variants.values():
                self._grow(variant, math.ceil(variant.plan.instance_count * share - 1e-9))
        except BaseException:
            self.stop()
            raise

    def restore(self) -> None:
        """Bring back what `keep` took; raise JobFailed, with those that serve untouched, when one fails."""
        for variant in self.variants.values():
            self._grow(variant, variant.plan.instance_count)

    def keep(self, share: float) -> None:
        """Take all instances out of service but a share; they end when they have answered what they were asked."""
        retired: list[Instance] = []
        for variant in self.variants.values():
            retired += variant.retire(math.floor(variant.plan.instance_count * share + 1e-9))
        _end(retired)

    def resize(self, name: str, count: int) -> None:
        """Give a variant as many instances."""
        variant = self.variants[name]
        variant.plan = replace(variant.plan, instance_count=count)
        self._grow(variant, count)
        _end(variant.retire(count))

    def weigh(self, name: str, weight: float) -> None:
        """Give a variant another part of the traffic."""
        variant = self.variants[name]
        variant.plan = replace(variant.plan, weight=weight)

    def cancel(self) -> None:
        """Make a `start` in another thread give up soon."""
        self._cancelled.set()
        for variant in self.variants.values():
            for instance in list(variant.instances):
                instance.cancel()

    def stop(self) -> None:
        """End all instances at once, whatever they are doing."""
        self.cancel()
        if self.capture is not None:
            self.capture.close()
        _end([instance for variant in self.variants.values() for instance in variant.instances])
        shutil.rmtree(self._root, ignore_errors=True)

    def drain(self) -> None:
        """End all instances when they have answered what they were asked; nobody is sent to them any more."""
        self.keep(0.0)
        self.stop()

    def choose(self, target_variant: str | None) -> Variant | None:
        """The named variant (None when unknown), or one drawn by the variants' weights."""
        if target_variant is not None:
            return self.variants.get(target_variant)
        variants = list(self.variants.values())
        weights = [variant.plan.weight for variant in variants]
        if len(variants) == 1 or not any(weights):
            return variants[0]
        return random.choices(variants, weights)[0]  # noqa: S311 - routing, not secrecy

    def describe(self, *, up: bool, share: float = 1.0) -> list[dict[str, Any]]:
        return [variant.describe(up=up, share=share) for variant in self.variants.values()]

    def _grow(self, variant: Variant, count: int) -> None:
        while len(variant.instances) < count:
            plan = variant.plan
            stream = f"{plan.name}/i-{self._root.name}-{self._started}"
            self._started += 1
            group = f"/aws/sagemaker/Endpoints/{self._endpoint_name}"
            log = LogStream(self._context, self._region, group, stream)
            instance = Instance(self._context, self._serving(plan), log)
            variant.add(instance)
            if self._cancelled.is_set():
                raise JobFailed("The endpoint was deleted while it started.")
            try:
                instance.start()
            except BaseException:
                instance.stop()
                variant.remove(instance)
                raise

    def _serving(self, plan: VariantPlan) -> Serving:
        """What an instance of the variant runs; the model is brought once."""
        if plan.name not in self._servings:
            self._servings[plan.name] = self._prepared(plan)
        return self._servings[plan.name]

    def _prepared(self, plan: VariantPlan) -> Serving:
        try:
            image = images.resolve(self._context.state_dir, plan.image_uri)
        except (images.ImageNotFound, images.ImageNotRunnable) as error:
            raise JobFailed(f"ClientError: {error}") from error
        root = self._root / plan.name
        model = root / "opt" / "ml" / "model"
        model.mkdir(parents=True, exist_ok=True)
        if plan.model_data_url:
            storage.download_model(self._context.client("s3", self._region), plan.model_data_url, model)
        return Serving(
            unhealthy=(
                f"The primary container for production variant {plan.name} did not pass the ping health check. "
                "Please check CloudWatch logs for this endpoint."
            ),
            image=image,
            environment=plan.environment,
            root=root,
            health_check_seconds=plan.health_check_seconds,
        )


def _end(instances: Sequence[Instance]) -> None:
    threads = [threading.Thread(target=instance.stop, daemon=True) for instance in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
