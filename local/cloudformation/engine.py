"""CloudFormation's operations on stacks and change sets, with the statuses a client waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlparse

from botocore.exceptions import ClientError

from local.cloudformation.deployment import Deployment
from local.cloudformation.errors import ResourceFailed, TemplateError
from local.cloudformation.stacks import ChangeSet, Stack, Stacks, now
from local.cloudformation.template import Parameters, Template, parameters

_log = logging.getLogger(__name__)
# Clients poll every few seconds. An operation that is done within this time is answered as done, so that a
# deployment of a second does not take five.
_PROMPT_SECONDS = 10.0
_NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


class Clients(Protocol):
    """What this engine needs of local.context.Context."""

    account_id: str

    def client(self, service: str, region: str | None = None) -> Any: ...


class RequestRefused(Exception):
    """The request cannot be carried out; `code` is CloudFormation's error code."""

    def __init__(self, message: str, code: str = "ValidationError") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Submission:
    """What CreateStack, UpdateStack and CreateChangeSet have in common."""

    stack_name: str
    template_body: str | None = None
    template_url: str | None = None
    use_previous_template: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    keep_parameters: frozenset[str] = frozenset()
    tags: Mapping[str, str] | None = None
    role_arn: str = ""
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)


class Engine:
    """The stacks of the local AWS. Public methods raise RequestRefused for what CloudFormation refuses."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self.stacks = Stacks(clients.account_id)

    def stack(self, name_or_id: str, region: str) -> Stack:
        found = self.stacks.find(name_or_id, region)
        if found is None:
            raise RequestRefused(f"Stack with id {name_or_id} does not exist")
        return found

    def create_stack(
        self, submission: Submission, region: str, *, keep_failed: bool = False, protected: bool = False
    ) -> Stack:
        with self.stacks.lock:
            existing = self.stacks.find(submission.stack_name, region)
            if existing is not None and existing.status != "DELETE_COMPLETE":
                raise RequestRefused(
                    f"Stack [{submission.stack_name}] already exists", "AlreadyExistsException"
                )
            template, values = self._read(submission, None, region)
            stack = Stack("", submission.stack_name, region)
            self._checked(stack, template, values)
            stack = self.stacks.add(submission.stack_name, region)
            stack.termination_protection = protected
            self._take(stack, submission)
        self._start(stack, template, values, "CREATE", keep_failed)
        return stack

    def update_stack(self, submission: Submission, region: str, *, keep_failed: bool = False) -> Stack:
        with self.stacks.lock:
            stack = self._idle(submission.stack_name, region)
            self._updatable(stack)
            template, values = self._read(submission, stack, region)
            self._checked(stack, template, values)
            if _unchanged(stack, template, values, submission.tags):
                raise RequestRefused("No updates are to be performed.")
            self._take(stack, submission)
        self._start(stack, template, values, "UPDATE", keep_failed)
        return stack

    def create_change_set(
        self, submission: Submission, region: str, *, name: str, kind: str, description: str = ""
    ) -> tuple[Stack, ChangeSet]:
        """A change set of kind CREATE or UPDATE. Of one that cannot be deployed here, nothing is kept."""
        with self.stacks.lock:
            stack = self.stacks.find(submission.stack_name, region)
            if stack is not None and stack.status == "DELETE_COMPLETE":
                stack = None
            if kind == "UPDATE":
                stack = self._idle(submission.stack_name, region)
                self._updatable(stack)
            elif stack is not None and stack.status != "REVIEW_IN_PROGRESS":
                raise RequestRefused(
                    f"Stack [{submission.stack_name}] already exists", "AlreadyExistsException"
                )
            if stack is not None and stack.change_set(name) is not None:
                raise RequestRefused(f"ChangeSet [{name}] already exists", "AlreadyExistsException")
            template, values = self._read(submission, stack, region)
            deployment = self._checked(stack or Stack("", submission.stack_name, region), template, values)
            changes = deployment.changes()
            if stack is None:
                stack = self.stacks.add(submission.stack_name, region)
                stack.become("REVIEW_IN_PROGRESS", "User Initiated")
            change_set = ChangeSet(
                change_set_id=self.stacks.change_set_id(name, region),
                name=name,
                kind=kind,
                template=template,
                parameters=values,
                tags=stack.tags if submission.tags is None else submission.tags,
                changes=changes,
                description=description,
            )
            if kind == "UPDATE" and _unchanged(stack, template, values, submission.tags):
                change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
                change_set.status_reason = _NO_CHANGES
            self._take(stack, submission, tags=False)
            stack.change_sets[change_set.change_set_id] = change_set
            return stack, change_set

    def change_set(self, stack_name: str | None, name_or_id: str, region: str) -> tuple[Stack, ChangeSet]:
        candidates = [self.stack(stack_name, region)] if stack_name else self.stacks.all(region)
        for stack in candidates:
            found = stack.change_set(name_or_id)
            if found is not None:
                return stack, found
        raise RequestRefused(f"ChangeSet [{name_or_id}] does not exist", "ChangeSetNotFound")

    def execute_change_set(
        self, stack_name: str | None, name_or_id: str, region: str, *, keep_failed: bool = False
    ) -> None:
        with self.stacks.lock:
            stack, change_set = self.change_set(stack_name, name_or_id, region)
            self._idle(stack.stack_id, region)
            if change_set.execution_status != "AVAILABLE":
                raise RequestRefused(
                    f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of "
                    f"[{change_set.status}]",
                    "InvalidChangeSetStatus",
                )
            change_set.execution_status = "EXECUTE_IN_PROGRESS"
            stack.tags = change_set.tags
        self._start(stack, change_set.template, change_set.parameters, change_set.kind, keep_failed)
        # An executed change set, and those made for the state before it, are gone.
        stack.change_sets.clear()

    def delete_change_set(self, stack_name: str | None, name_or_id: str, region: str) -> None:
        """Deleting one that is not there succeeds, as in AWS, as long as the stack is."""
        stacks = [self.stack(stack_name, region)] if stack_name else self.stacks.all(region)
        for stack in stacks:
            found = stack.change_set(name_or_id)
            if found is not None:
                del stack.change_sets[found.change_set_id]

    def delete_stack(self, name_or_id: str, region: str) -> None:
        with self.stacks.lock:
            stack = self.stacks.find(name_or_id, region)
            if stack is None or stack.status == "DELETE_COMPLETE":
                return
            if stack.termination_protection:
                raise RequestRefused(
                    f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
            self._idle(stack.stack_id, region)
            in_use = self.stacks.unchangeable(stack, outputs=())
            if in_use is not None:
                # No error: as on AWS the stack says so, and stays what it was.
                stack.become(stack.status, in_use)
                return
            stack.become("DELETE_IN_PROGRESS", "User Initiated")
        template = stack.template
        if template is None:
            stack.become("DELETE_COMPLETE")
            return
        deployment = self._deployment(stack, template, stack.parameters)

        def delete() -> None:
            resisted = deployment.delete()
            if resisted:
                reason = f"The following resource(s) failed to delete: [{', '.join(resisted)}]."
                stack.become("DELETE_FAILED", reason)
                return
            stack.outputs, stack.imports, stack.deleted_at = [], frozenset(), now()
            stack.become("DELETE_COMPLETE")

        self._run(stack, "DELETE_FAILED", delete)

    def read_template(self, submission: Submission, region: str) -> Template:
        """The template a request submits, checked for form only."""
        stack = self.stacks.find(submission.stack_name, region) if submission.stack_name else None
        try:
            return self._template(submission, stack, region)
        except TemplateError as error:
            raise RequestRefused(str(error)) from error

    def _start(
        self, stack: Stack, template: Template, values: Parameters, kind: str, keep_failed: bool
    ) -> None:
        """Runs a create or an update; `keep_failed` leaves what was done when it fails (DisableRollback)."""
        stack.become(f"{kind}_IN_PROGRESS", "User Initiated")
        deployment = self._deployment(stack, template, values)
        before = (stack.template, stack.parameters)
        stack.template, stack.parameters = template, values

        def deploy() -> None:
            try:
                deployment.apply()
            except ResourceFailed as error:
                self._fail(stack, deployment, kind, str(error), keep_failed, before)
                return
            if kind == "UPDATE":
                stack.updated_at = now()
                stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
                deployment.clean_up()
            stack.become(f"{kind}_COMPLETE")

        self._run(stack, f"{kind}_FAILED", deploy)

    def _fail(
        self,
        stack: Stack,
        deployment: Deployment,
        kind: str,
        reason: str,
        keep_failed: bool,
        before: tuple[Template | None, Parameters],
    ) -> None:
        if keep_failed:
            stack.become(f"{kind}_FAILED", reason)
            return
        rollback = "UPDATE_ROLLBACK" if kind == "UPDATE" else "ROLLBACK"
        stack.become(f"{rollback}_IN_PROGRESS", reason)
        failures = deployment.roll_back()
        if kind == "UPDATE":
            stack.template, stack.parameters = before
        if failures:
            stack.become(f"{rollback}_FAILED", " ".join(failures))
        else:
            stack.become(f"{rollback}_COMPLETE", reason)

    def _run(self, stack: Stack, failed: str, work: Callable[[], None]) -> None:
        """Runs `work` in a thread of its own and waits a moment for it."""

        def guarded() -> None:
            try:
                work()
            except Exception as error:
                # Nobody joins this thread in time to see it; the stack has to say so.
                _log.exception("operation on stack %s failed", stack.name)
                stack.become(failed, f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=guarded, name=f"cloudformation {stack.name}", daemon=True)
        thread.start()
        thread.join(_PROMPT_SECONDS)

    def _idle(self, name_or_id: str, region: str) -> Stack:
        stack = self.stack(name_or_id, region)
        if stack.busy:
            raise RequestRefused(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
        return stack

    def _updatable(self, stack: Stack) -> None:
        if stack.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "DELETE_COMPLETE"):
            raise RequestRefused(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")

    def _checked(self, stack: Stack, template: Template, values: Parameters) -> Deployment:
        deployment = self._deployment(stack, template, values)
        try:
            deployment.check()
        except TemplateError as error:
            raise RequestRefused(
                f"Stack {stack.name} cannot be deployed to the local AWS. {error}"
            ) from error
        return deployment

    def _deployment(self, stack: Stack, template: Template, values: Parameters) -> Deployment:
        return Deployment(
            stack,
            template,
            values,
            account_id=self._clients.account_id,
            client=lambda service: self._clients.client(service, stack.region),
            stacks=self.stacks,
        )

    def _take(self, stack: Stack, submission: Submission, *, tags: bool = True) -> None:
        stack.role_arn = submission.role_arn or stack.role_arn
        stack.capabilities = submission.capabilities or stack.capabilities
        stack.notification_arns = submission.notification_arns or stack.notification_arns
        if tags and submission.tags is not None:
            stack.tags = submission.tags

    def _read(self, submission: Submission, stack: Stack | None, region: str) -> tuple[Template, Parameters]:
        previous = stack.parameters.given if stack else {}
        kept = {name: previous[name] for name in submission.keep_parameters if name in previous}
        try:
            template = self._template(submission, stack, region)
            values = parameters(
                template, submission.parameters, kept, lambda name: self._stored(name, region)
            )
        except TemplateError as error:
            raise RequestRefused(str(error)) from error
        return template, values

    def _template(self, submission: Submission, stack: Stack | None, region: str) -> Template:
        if submission.use_previous_template:
            if stack is None or stack.template is None:
                raise TemplateError("UsePreviousTemplate needs a stack that has one")
            return stack.template
        if submission.template_url:
            return Template.parse(self._fetch(submission.template_url, region))
        if submission.template_body:
            return Template.parse(submission.template_body)
        raise TemplateError("Either Template URL or Template Body must be specified.")

    def _fetch(self, url: str, region: str) -> str:
        """A template from S3: virtual-hosted or path style, on amazonaws.com or on this server."""
        parts = urlparse(url)
        host, path = parts.hostname or "", parts.path.lstrip("/")
        bucket, marker, _ = host.partition(".s3")
        if not marker:
            bucket, _, path = path.partition("/")
        try:
            answer = self._clients.client("s3", region).get_object(Bucket=bucket, Key=path)
        except ClientError as error:
            raise TemplateError(f"S3 error for the template {url}: {error}") from error
        text: str = answer["Body"].read().decode()
        return text

    def _stored(self, name: str, region: str) -> str:
        client = self._clients.client("ssm", region)
        try:
            value: str = client.get_parameter(Name=name)["Parameter"]["Value"]
        except client.exceptions.ParameterNotFound:
            raise TemplateError(
                f"Unable to fetch parameters [{name}] from parameter store for this account. If this is the "
                "CDK's bootstrap version, run cdk bootstrap first."
            ) from None
        return value


def _unchanged(stack: Stack, template: Template, values: Parameters, tags: Mapping[str, str] | None) -> bool:
    same_template = stack.template is not None and stack.template.body == template.body
    same_tags = tags is None or dict(tags) == dict(stack.tags)
    return same_template and same_tags and dict(values.resolved) == dict(stack.parameters.resolved)
