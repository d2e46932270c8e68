"""A request to a stage: who asks, how often, with what; then Lambda, and its answer. All as API Gateway does it."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from moto.apigateway.models import apigateway_backends

from local import metrics
from local.apigateway import refusals, requests, signatures, throttling
from local.apigateway.refusals import Refusal, Response
from local.apigateway.requests import Place, Request
from local.apigateway.snapshots import Found, Snapshot

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 10 * 1024 * 1024
_MOST_SECONDS = 29.0
_FUNCTION = re.compile(r"/functions/(?P<arn>arn:[^/]+)/invocations$")


class Gateway:
    """Answers for the REST APIs of a local AWS. Thread-safe."""

    def __init__(self, context: Context, *, clock: Callable[[], float] = time.time) -> None:
        self._context = context
        self._clock = clock
        self._throttles = throttling.Throttles(clock)
        self._calls = ThreadPoolExecutor(max_workers=64, thread_name_prefix="apigateway")

    def answer(self, api_id: str, stage_name: str, request: Request) -> Response:
        """The answer to a request; what goes wrong is one, too."""
        began = time.perf_counter()
        request_id = str(uuid.uuid4())
        api = self._backend.apis.get(api_id)
        stage = api.stages.get(stage_name) if api else None
        snapshot: Snapshot | None = None
        in_lambda = 0.0
        try:
            if api is None or stage is None:
                # On AWS there is no such host, or no such stage.
                raise Refusal("ACCESS_DENIED", "Forbidden")
            deployment = api.deployments[stage.deployment_id]
            snapshot = deployment.snapshot
            found = snapshot.find(request.verb, request.path)
            if found is None:
                raise Refusal("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
            place = Place(
                self._context.account_id,
                self._context.region,
                api_id,
                stage_name,
                deployment.id,
                stage.variables,
            )
            key = self._admit(request, found, place, stage)
            self._check_body(request, found, snapshot)
            asked_at = time.perf_counter()
            now = datetime.fromtimestamp(self._clock(), UTC)
            try:
                response = self._ask(found, requests.event(request, found, place, request_id, now, key))
            finally:
                in_lambda = time.perf_counter() - asked_at
        except Refusal as refusal:
            if refusal.detail:
                logger.warning("API %s: %s: %s", api_id, refusal, refusal.detail)
            context = {
                "requestId": request_id,
                "extendedRequestId": request_id,
                "apiId": api_id,
                "stage": stage_name,
            }
            response = refusals.answer(refusal, snapshot, context, request.headers)
        if api is not None and stage is not None:
            self._measure(api.name, stage_name, response.status, time.perf_counter() - began, in_lambda)
        ids = (("x-amzn-RequestId", request_id), ("x-amz-apigw-id", request_id))
        return Response(response.status, (*response.headers, *ids), response.body)

    @property
    def _backend(self) -> Any:
        return apigateway_backends[self._context.account_id][self._context.region]

    def _admit(self, request: Request, found: Found, place: Place, stage: Any) -> dict[str, str]:
        """The API key that was asked with, if the method wants one. Raises Refusal where somebody may not ask."""
        method = found.route.method
        if method.authorization_type == "AWS_IAM":
            now = datetime.fromtimestamp(self._clock(), UTC)
            signatures.check(request.verb, request.url, request.headers, request.body, now=now)
        key: dict[str, str] = {}
        if method.api_key_required:
            key = self._key(request.headers.get("x-api-key", ""), place)
        rate, burst = throttling.of_method(stage.method_settings, found.route.path, found.route.verb)
        where = (place.api, place.stage, found.route.path, found.route.verb)
        self._throttles.take(where, rate, burst)
        return key

    def _key(self, value: str, place: Place) -> dict[str, str]:
        stage = {"apiId": place.api, "stage": place.stage}
        for key in list(self._backend.keys.values()):
            if value and key.value == value and key.enabled:
                for plan in self._backend.get_usage_plans(key.id):
                    if any(stage.items() <= each.items() for each in plan.api_stages):
                        self._count(plan, key.id)
                        return {"apiKey": key.value, "apiKeyId": key.id}
        raise Refusal("INVALID_API_KEY", "Forbidden")

    def _count(self, plan: Any, key_id: str) -> None:
        if plan.throttle:
            self._throttles.take(
                (plan.id, key_id), float(plan.throttle["rateLimit"]), int(plan.throttle["burstLimit"])
            )
        if plan.quota:
            self._throttles.count((plan.id, key_id), int(plan.quota["limit"]))

    def _check_body(self, request: Request, found: Found, snapshot: Snapshot) -> None:
        if len(request.body) > MAX_BODY_BYTES:
            raise Refusal("REQUEST_TOO_LARGE", "Request Entity Too Large")
        method = found.route.method
        validator = snapshot.validators.get(method.request_validator_id or "")
        if validator is None or not validator.validate_request_body:
            return
        models: Mapping[str, str] = method.request_models or {}
        # A body of a type that no model is for is not looked at.
        name = models.get(request.media_type, models.get("$default"))
        if name is None:
            return
        from jsonschema import Draft4Validator  # a tenth of a second, for who has an API

        try:
            document = json.loads(request.body, parse_constant=_refuse_constant)
        except ValueError as error:
            raise Refusal("BAD_REQUEST_BODY", "Invalid request body", detail=str(error)) from None
        wrong = next(Draft4Validator(snapshot.schemas[name]).iter_errors(document), None)
        if wrong is not None:
            raise Refusal("BAD_REQUEST_BODY", "Invalid request body", detail=f"[{wrong.message[:500]}]")

    def _ask(self, found: Found, event: Mapping[str, Any]) -> Response:
        integration = found.route.method.method_integration
        function = _FUNCTION.search(integration.uri or "") if integration else None
        if integration is None or integration.integration_type != "AWS_PROXY" or function is None:
            raise Refusal(
                "API_CONFIGURATION_ERROR",
                "Internal server error",
                detail="the local AWS hands requests to Lambda functions by AWS_PROXY, and to nothing else",
            )
        seconds = float(integration.timeout_in_millis or _MOST_SECONDS * 1000) / 1000
        call: Future[Any] = self._calls.submit(
            self._context.client("lambda").invoke,
            FunctionName=function["arn"],
            Payload=json.dumps(event).encode(),
        )
        try:
            answer = call.result(timeout=seconds)
        except FutureTimeout:
            raise Refusal("INTEGRATION_TIMEOUT", "Endpoint request timed out") from None
        except Exception as error:
            if "RequestTooLarge" in str(error):
                raise Refusal("REQUEST_TOO_LARGE", "Request Entity Too Large") from error
            raise Refusal("DEFAULT_5XX", "Internal server error", detail=str(error)) from error
        payload = answer["Payload"].read()
        if "FunctionError" in answer:
            raise Refusal("DEFAULT_5XX", "Internal server error", detail=payload.decode("utf-8", "replace"))
        return requests.response(payload)

    def _measure(self, api: str, stage: str, status: int, seconds: float, in_lambda: float) -> None:
        """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"""
        values = {
            "Count": (1.0, "Count"),
            "4XXError": (float(400 <= status < 500), "Count"),
            "5XXError": (float(status >= 500), "Count"),
            "Latency": (seconds * 1000, "Milliseconds"),
            "IntegrationLatency": (in_lambda * 1000, "Milliseconds"),
        }
        dimensions = ({"ApiName": api}, {"ApiName": api, "Stage": stage})
        metrics.put(self._context.account_id, self._context.region, "AWS/ApiGateway", values, *dimensions)


def _refuse_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError(f"{name} is no JSON")
