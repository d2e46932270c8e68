"""The Invoke API on top of the workers, in the places where moto would start a container."""

from __future__ import annotations

import base64
import json
import logging
import threading
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.responses import LambdaResponse

from local.context import Context
from local.lambda_runtime.function import Function, UnsupportedFunction
from local.lambda_runtime.invocation_metrics import InvocationMetrics, Target
from local.lambda_runtime.pool import Pools, Throttled
from local.lambda_runtime.worker import Outcome, Worker

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
# AWS waits one minute, then two, before it gives an asynchronous event another try. Nobody waits here.
_RETRY_SECONDS = (1.0, 2.0)
_THROTTLED_SECONDS = 0.5

Headers = dict[str, str]


class Invoker:
    """Runs moto's functions on the workers of a Context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pools = Pools(lambda function, code: Worker(context, function, code))
        threading.Thread(
            target=self._pools.rest_until, args=(context.stopping,), name="lambda-rest", daemon=True
        ).start()
        self._metrics = InvocationMetrics(context.account_id)

    def run(
        self, function: Any, event: bytes, client_context: str | None = None, qualifier: str | None = None
    ) -> Outcome:
        """Invoke and wait; `qualifier` is the version or alias that was asked for.

        Raises LambdaClientError (an answer of the Invoke API) when it cannot start.
        """
        try:
            return self._run(function, event, client_context, qualifier)
        except UnsupportedFunction as error:
            raise LambdaClientError("InvalidParameterValueException", str(error)) from error
        except Throttled as error:
            throttled = LambdaClientError("TooManyRequestsException", "Rate Exceeded.")
            throttled.code = 429
            raise throttled from error

    def start(
        self, function: Any, event: bytes, client_context: str | None = None, qualifier: str | None = None
    ) -> None:
        """Invoke and do not wait; a failing event is tried again twice, or as the function says."""
        target = Target(Function.of(function), qualifier)
        self._metrics.asynchronous(target, dropped=False)
        threading.Thread(
            target=self._run_until_it_works,
            args=(function, event, client_context, target),
            name=f"event-{function.function_name}",
            daemon=True,
        ).start()

    def _run(self, function: Any, event: bytes, client_context: str | None, qualifier: str | None) -> Outcome:
        target = Target(Function.of(function), qualifier)
        reserved = function.reserved_concurrency
        limit = None if reserved is None else int(reserved)
        try:
            with (
                self._pools.of(target.function).worker(function.code_bytes, limit) as worker,
                self._metrics.running(target),
            ):
                outcome = worker.invoke(event, float(function.timeout), client_context)
        except Throttled:
            self._metrics.throttled(target)
            raise
        self._metrics.ended(target, outcome.duration_ms, is_error=outcome.result.is_error)
        return outcome

    def forget_deleted(self, backend: Any) -> None:
        """End the workers of functions that `backend` no longer has."""
        functions = backend.list_functions("ALL")
        arns = {function.function_arn.removesuffix(":$LATEST") for function in functions}
        self._pools.keep_only(arns, region=backend.region_name)

    def _run_until_it_works(
        self, function: Any, event: bytes, client_context: str | None, target: Target
    ) -> None:
        config = function.event_invoke_config[-1].config if function.event_invoke_config else {}
        retries = list(_RETRY_SECONDS[: config.get("MaximumRetryAttempts", len(_RETRY_SECONDS))])
        while True:
            try:
                outcome = self._run(function, event, client_context, target.qualifier)
            except Throttled:
                # Back to the queue it goes, as on AWS; that is none of its retries.
                if self._context.stopping.wait(_THROTTLED_SECONDS):
                    return
                continue
            if not outcome.result.is_error:
                return
            if not retries or self._context.stopping.wait(retries.pop(0)):
                break
        self._metrics.asynchronous(target, dropped=True)
        logger.warning(
            "function %s: an asynchronous event failed for good: %s",
            function.function_name,
            outcome.result.payload.decode("utf-8", "replace"),
        )


def install(context: Context) -> None:
    """Replace moto's invocation, over HTTP and from its own services."""
    invoker = Invoker(context)
    delete_function = LambdaBackend.delete_function

    def respond(self: Any) -> tuple[int, Headers, bytes]:
        name = unquote(self.path.rsplit("/", 2)[-2])
        qualifier = self.querystring.get("Qualifier", [None])[0]
        function = self.backend.get_function(name, qualifier)
        qualifier = qualifier or name.rsplit("function:", 1)[-1].partition(":")[2] or None
        return _answer(invoker, function, qualifier, self.body, self.headers)

    def invoke(self: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:  # noqa: ARG001
        # How moto's own services call a function: SQS looks at the error header, the others at nothing.
        outcome = invoker.run(self, _event(body))
        if outcome.result.is_error:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.result.payload

    def delete(self: Any, function_name: str, qualifier: str | None = None) -> None:
        delete_function(self, function_name, qualifier)
        invoker.forget_deleted(self)

    LambdaResponse.invoke = respond
    LambdaFunction.invoke = invoke
    LambdaBackend.delete_function = delete


def _answer(
    invoker: Invoker, function: Any, qualifier: str | None, body: Any, headers: Mapping[str, str]
) -> tuple[int, Headers, bytes]:
    """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
    event = _event(body)
    kind = headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    limit = MAX_EVENT_BYTES if kind == "Event" else MAX_REQUEST_BYTES
    if len(event) > limit:
        error = LambdaClientError(
            "RequestTooLargeException",
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
        )
        error.code = 413
        raise error
    encoded_context = headers.get("X-Amz-Client-Context")
    client_context = base64.b64decode(encoded_context).decode() if encoded_context else None
    if kind == "DryRun":
        return 204, {"status": "204"}, b""
    if kind == "Event":
        invoker.start(function, event, client_context, qualifier)
        return 202, {"status": "202", "x-amzn-RequestId": str(uuid.uuid4())}, b""
    outcome = invoker.run(function, event, client_context, qualifier)
    answer = {
        "Content-Type": "application/json",
        "X-Amz-Executed-Version": str(function.version),
        "x-amzn-RequestId": outcome.request_id,
    }
    if outcome.result.is_error:
        answer["X-Amz-Function-Error"] = "Unhandled"
    if headers.get("X-Amz-Log-Type") == "Tail":
        answer["X-Amz-Log-Result"] = outcome.log_tail
    return 200, answer, outcome.result.payload


def _event(body: Any) -> bytes:
    """The event as bytes of JSON; nothing at all is an empty object, as AWS has it."""
    event: bytes = body if isinstance(body, bytes) else (body or "").encode()
    try:
        json.loads(event or b"{}")
    except ValueError as error:
        raise LambdaClientError(
            "InvalidRequestContentException", f"Could not parse request body into json: {error}"
        ) from error
    return event or b"{}"
