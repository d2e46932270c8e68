"""Activities: tasks that wait for a worker to take them, and then for what it says."""

from __future__ import annotations

import collections
import threading
import time
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions import models, responses
from moto.stepfunctions.parser.api import ActivityDoesNotExist
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_activitiy import (
    StateTaskActivity,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    ActivityCallbackEndpoint,
    ActivityTaskStartEndpoint,
)

from local.stepfunctions import failures

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetActivityTask.html
POLL_SECONDS = 60
_STOP_CHECK_SECONDS = 0.1


def install() -> None:
    models.Activity = Activity
    models.StepFunctionBackend.create_activity = _create_once(models.StepFunctionBackend.create_activity)
    responses.StepFunctionResponse.get_activity_task = _get_activity_task
    StateTaskActivity._eval_execution = _with_tasks(StateTaskActivity._eval_execution)
    StateTaskActivity._from_error = _catchable(StateTaskActivity._from_error)


@dataclass(frozen=True)
class Task:
    """What a worker is given, and the state that waits for it."""

    token: str
    text: str
    endpoint: ActivityCallbackEndpoint
    env: Any


class Activity(models.Activity):
    """An activity with its tasks, which its workers take in order."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._tasks: collections.deque[Task] = collections.deque()
        self._changed = threading.Condition()

    def add(self, task: Task) -> None:
        with self._changed:
            self._tasks.append(task)
            self._changed.notify()

    def take(self, seconds: float) -> Task | None:
        """Wait for a task that is still waited for; None where there is none in that time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                while self._tasks:
                    task = self._tasks.popleft()
                    if task.env.is_running():
                        return task
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self._changed.wait(remaining)


class _Start(ActivityTaskStartEndpoint):
    """Waits for a worker, as long as the state is there."""

    def __init__(self, env: Any) -> None:
        super().__init__()
        self._outcome = None
        self._env = env

    def wait(self, timeout_seconds: float) -> Any:
        return _wait(self._env, self._next_activity_task_start_event, timeout_seconds, lambda: self._outcome)


class _Endpoint(ActivityCallbackEndpoint):
    """Waits for what the worker says, as long as the state is there."""

    def __init__(self, token: str, text: str, env: Any) -> None:
        super().__init__(callback_id=token, activity_input=text)
        self._activity_task_start_endpoint = _Start(env)
        self._env = env

    def wait(self, timeout: float | None = None) -> Any:
        return _wait(self._env, self._notify_event, timeout, lambda: self._outcome)


def _wait(env: Any, event: threading.Event, seconds: float | None, outcome: Any) -> Any:
    deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
    while not event.wait(_STOP_CHECK_SECONDS):
        if not env.is_running():
            raise failures.ExecutionStopped
        if time.monotonic() > deadline:
            return None
    return outcome()


class _Pool:
    """Takes the place of a frame's callback pool: registers a task before a worker can answer it."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._manager = env.callback_pool_manager

    def add_activity_task(self, callback_id: str, activity_arn: str, activity_input: str) -> _Endpoint:
        activity = self._manager._activity_store.get(activity_arn)
        if activity is None:
            raise ActivityDoesNotExist
        endpoint = _Endpoint(callback_id, activity_input, self._env)
        self._manager._pool[callback_id] = endpoint
        activity.add(Task(callback_id, activity_input, endpoint, self._env))
        return endpoint


def _with_tasks(evaluate: Any) -> Any:
    def _eval_execution(self: Any, env: Any) -> None:
        env.callback_pool_manager = _Pool(env)  # of this frame alone
        evaluate(self, env)

    return _eval_execution


def _catchable(from_error: Any) -> Any:
    def _from_error(self: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, FailureEventException):
            return ex.failure_event
        return from_error(self, env, ex)

    return _from_error


def _create_once(create: Any) -> Any:
    def create_activity(
        self: Any, name: str, tags: Any = None, encryption_configuration: dict[str, Any] | None = None
    ) -> Any:
        """Create an activity, or give the one of that name and encryption."""
        for activity in self.activities.values():
            if (activity.name, activity.encryption_configuration) == (name, encryption_configuration):
                return activity
        return create(self, name, tags, encryption_configuration)

    return create_activity


def _get_activity_task(self: Any) -> ActionResult:
    """Give a worker its next task; nothing where there is none for a minute."""
    activity = self.stepfunction_backend.describe_activity(self._get_param("activityArn"))
    task = activity.take(POLL_SECONDS)
    if task is None:
        return ActionResult({})
    task.endpoint.notify_activity_task_start(self._get_param("workerName"))
    return ActionResult({"taskToken": task.token, "input": task.text})
