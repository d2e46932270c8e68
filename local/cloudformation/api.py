"""CloudFormation's web API, in place of moto's."""

from __future__ import annotations

from typing import Any, ClassVar

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import camelcase_to_underscores

from local.cloudformation.engine import Engine, RequestRefused, Submission
from local.cloudformation.stacks import STACK_TYPE, Change, ChangeSet, Deployed, Event, Stack
from local.cloudformation.template import Template


class _Refused(ServiceException):
    """An error answer of this API."""


class CloudFormationApi(BaseResponse):
    """One method per supported action. An action without one is answered as an error that names it."""

    engine: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    def call_action(self) -> Any:
        action = self._get_action()
        method = getattr(self, camelcase_to_underscores(action), None)
        if camelcase_to_underscores(action) not in _ACTIONS or method is None:
            return self._answer(
                _Refused(
                    "UnsupportedOperation", f"The local AWS does not implement CloudFormation's {action}."
                )
            )
        try:
            return self._answer(method())
        except RequestRefused as error:
            return self._answer(_Refused(error.code, str(error)))

    def _answer(self, result: Any) -> Any:
        status, headers, body = self.serialized(
            result if isinstance(result, ActionResult) else ActionResult(result)
        )
        return status, {**self.response_headers, **headers, "status": str(status)}, body

    # -- stacks

    def create_stack(self) -> ActionResult:
        self._refuse("OnFailure", {"DELETE"})
        self._refuse("RetainExceptOnCreate")
        stack = self.engine.create_stack(
            self._submission(),
            self.region,
            keep_failed=bool(self._get_param("DisableRollback"))
            or self._get_param("OnFailure") == "DO_NOTHING",
            protected=bool(self._get_param("EnableTerminationProtection")),
        )
        return ActionResult({"StackId": stack.stack_id})

    def update_stack(self) -> ActionResult:
        self._refuse("RetainExceptOnCreate")
        keep_failed = bool(self._get_param("DisableRollback"))
        stack = self.engine.update_stack(self._submission(), self.region, keep_failed=keep_failed)
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self) -> ActionResult:
        self._refuse("RetainResources")
        self.engine.delete_stack(self._get_param("StackName"), self.region)
        return EmptyResult()

    def describe_stacks(self) -> ActionResult:
        name = self._get_param("StackName")
        stacks = [self.engine.stack(name, self.region)] if name else self.engine.stacks.existing(self.region)
        return ActionResult({"Stacks": [_stack(stack) for stack in stacks]})

    def list_stacks(self) -> ActionResult:
        wanted = self._get_param("StackStatusFilter") or []
        stacks = [s for s in self.engine.stacks.all(self.region) if not wanted or s.status in wanted]
        return ActionResult({"StackSummaries": [_stack(stack) for stack in stacks]})

    def update_termination_protection(self) -> ActionResult:
        stack = self._stack()
        stack.termination_protection = bool(self._get_param("EnableTerminationProtection"))
        return ActionResult({"StackId": stack.stack_id})

    # -- change sets

    def create_change_set(self) -> ActionResult:
        self._refuse("ResourcesToImport")
        # `cdk bootstrap` sets ImportExistingResources: adopt what has the name already. Nothing is adopted
        # here; a name that is taken fails the deployment and is named.
        self._refuse("ChangeSetType", {"IMPORT"})
        self._refuse("DeploymentMode", {"REVERT_DRIFT"})
        stack, change_set = self.engine.create_change_set(
            self._submission(),
            self.region,
            name=self._get_param("ChangeSetName"),
            kind=self._get_param("ChangeSetType") or "UPDATE",
            description=self._get_param("Description") or "",
        )
        return ActionResult({"Id": change_set.change_set_id, "StackId": stack.stack_id})

    def describe_change_set(self) -> ActionResult:
        return ActionResult(_change_set(*self._change_set(), detailed=True))

    def list_change_sets(self) -> ActionResult:
        stack = self._stack()
        summaries = [_change_set(stack, item, detailed=False) for item in stack.change_sets.values()]
        return ActionResult({"Summaries": summaries})

    def execute_change_set(self) -> ActionResult:
        self._refuse("RetainExceptOnCreate")
        self.engine.execute_change_set(
            self._get_param("StackName"),
            self._get_param("ChangeSetName"),
            self.region,
            keep_failed=bool(self._get_param("DisableRollback")),
        )
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        name = self._get_param("ChangeSetName")
        self.engine.delete_change_set(self._get_param("StackName"), name, self.region)
        return EmptyResult()

    # -- what is in a stack

    def describe_stack_events(self) -> ActionResult:
        stack = self._stack()
        return ActionResult({"StackEvents": [_event(stack, event) for event in reversed(stack.events)]})

    def describe_events(self) -> ActionResult:
        stack = self._stack() if self._get_param("StackName") else self._change_set()[0]
        events = [_event(stack, event) for event in reversed(stack.events)]
        if (self._get_param("Filters") or {}).get("FailedEvents"):
            events = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        return ActionResult({"OperationEvents": [{**event, "EventType": "STACK_EVENT"} for event in events]})

    def describe_stack_resources(self) -> ActionResult:
        stack, wanted = self._stack(), self._get_param("LogicalResourceId")
        resources = [
            _resource(stack, deployed) for name, deployed in stack.deployed.items() if wanted in (None, name)
        ]
        return ActionResult({"StackResources": resources})

    def describe_stack_resource(self) -> ActionResult:
        stack, name = self._stack(), self._get_param("LogicalResourceId")
        if name not in stack.deployed:
            raise RequestRefused(f"Resource {name} does not exist for stack {stack.name}")
        return ActionResult({"StackResourceDetail": _resource(stack, stack.deployed[name])})

    def list_stack_resources(self) -> ActionResult:
        stack = self._stack()
        resources = [_resource(stack, deployed) for deployed in stack.deployed.values()]
        return ActionResult({"StackResourceSummaries": resources})

    def list_exports(self) -> ActionResult:
        exports = self.engine.stacks.exports(self.region)
        listed = [
            {"ExportingStackId": stack.stack_id, "Name": name, "Value": value}
            for name, (value, stack) in exports.items()
        ]
        return ActionResult({"Exports": listed})

    def list_imports(self) -> ActionResult:
        name = self._get_param("ExportName")
        importers = self.engine.stacks.importers(name, self.region)
        if not importers:
            raise RequestRefused(f"Export '{name}' is not imported by any stack.")
        return ActionResult({"Imports": importers})

    # -- templates

    def get_template(self) -> ActionResult:
        stack = self._stack()
        name = self._get_param("ChangeSetName")
        template = self._change_set()[1].template if name else stack.template
        text = template.text if template else ""
        return ActionResult({"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]})

    def get_template_summary(self) -> ActionResult:
        return ActionResult(_summary(self._template()))

    def validate_template(self) -> ActionResult:
        return ActionResult(_summary(self._template()))

    # -- requests

    def _submission(self) -> Submission:
        self._refuse("RollbackConfiguration.RollbackTriggers")
        given = self._get_param("Parameters") or []
        tags = self._get_param("Tags")
        return Submission(
            stack_name=self._get_param("StackName") or "",
            template_body=self._get_param("TemplateBody"),
            template_url=self._get_param("TemplateURL"),
            use_previous_template=bool(self._get_param("UsePreviousTemplate")),
            parameters={p["ParameterKey"]: p["ParameterValue"] for p in given if "ParameterValue" in p},
            keep_parameters=frozenset(p["ParameterKey"] for p in given if p.get("UsePreviousValue")),
            tags=None if tags is None else {tag["Key"]: tag["Value"] for tag in tags},
            role_arn=self._get_param("RoleARN") or "",
            capabilities=self._get_param("Capabilities") or [],
            notification_arns=self._get_param("NotificationARNs") or [],
        )

    def _refuse(self, parameter: str, values: set[Any] | None = None) -> None:
        """Raises RequestRefused if a request parameter asks for what this engine does not do."""
        value: Any = self._get_params()
        for name in parameter.split("."):
            value = (value or {}).get(name)
        if value and (values is None or value in values):
            raise RequestRefused(f"The local AWS does not support {parameter} = {value!r}.")

    def _stack(self) -> Stack:
        return self.engine.stack(self._get_param("StackName"), self.region)

    def _change_set(self) -> tuple[Stack, ChangeSet]:
        name = self._get_param("ChangeSetName")
        return self.engine.change_set(self._get_param("StackName"), name, self.region)

    def _template(self) -> Template:
        submission = self._submission()
        if not submission.template_body and not submission.template_url:
            template = self._stack().template
            if template is None:
                raise RequestRefused("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
            return template
        return self.engine.read_template(submission, self.region)


_ACTIONS = {name for name in vars(CloudFormationApi) if not name.startswith("_")} - {"call_action", "engine"}


def _tags(tags: Any) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _stack(stack: Stack) -> dict[str, Any]:
    described = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "CreationTime": stack.created_at,
        "StackStatus": stack.status,
        "StackStatusReason": stack.status_reason or None,
        "LastUpdatedTime": stack.updated_at,
        "DeletionTime": stack.deleted_at,
        "Description": stack.template.body.get("Description") if stack.template else None,
        "TemplateDescription": stack.template.body.get("Description") if stack.template else None,
        "Parameters": stack.parameters.described(),
        "Outputs": [
            {
                "OutputKey": output.key,
                "OutputValue": output.value,
                "Description": output.description or None,
                "ExportName": output.export or None,
            }
            for output in stack.outputs
        ],
        "Tags": _tags(stack.tags),
        "RoleARN": stack.role_arn or None,
        "Capabilities": stack.capabilities,
        "NotificationARNs": stack.notification_arns,
        "DisableRollback": False,
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    return {key: value for key, value in described.items() if value is not None}


def _change_set(stack: Stack, change_set: ChangeSet, *, detailed: bool) -> dict[str, Any]:
    described = {
        "ChangeSetId": change_set.change_set_id,
        "ChangeSetName": change_set.name,
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "CreationTime": change_set.created_at,
        "Description": change_set.description or None,
        "Status": change_set.status,
        "StatusReason": change_set.status_reason or None,
        "ExecutionStatus": change_set.execution_status,
    }
    if detailed:
        described["Parameters"] = change_set.parameters.described()
        described["Tags"] = _tags(change_set.tags)
        described["Changes"] = [_change(change) for change in change_set.changes]
    return {key: value for key, value in described.items() if value is not None}


def _change(change: Change) -> dict[str, Any]:
    described: dict[str, Any] = {
        "Action": change.action,
        "LogicalResourceId": change.logical_id,
        "ResourceType": change.type_name,
    }
    if change.physical_id:
        described["PhysicalResourceId"] = change.physical_id
    if change.replacement is not None:
        described["Replacement"] = "True" if change.replacement else "False"
        described["Scope"] = ["Properties"]
    return {"Type": "Resource", "ResourceChange": described}


def _event(stack: Stack, event: Event) -> dict[str, Any]:
    described = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "EventId": event.event_id,
        "Timestamp": event.at,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type_name,
        "ResourceStatus": event.status,
    }
    return {**described, "ResourceStatusReason": event.reason} if event.reason else described


def _resource(stack: Stack, deployed: Deployed) -> dict[str, Any]:
    described = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "LogicalResourceId": deployed.logical_id,
        "PhysicalResourceId": deployed.resource.physical_id,
        "ResourceType": deployed.type_name,
        "ResourceStatus": deployed.status,
        "Timestamp": deployed.changed_at,
        "LastUpdatedTimestamp": deployed.changed_at,
    }
    return {**described, "ResourceStatusReason": deployed.reason} if deployed.reason else described


def _summary(template: Template) -> dict[str, Any]:
    parameters = [
        {
            "ParameterKey": name,
            "ParameterType": specification["Type"],
            "NoEcho": bool(specification.get("NoEcho", False)),
            "Description": specification.get("Description", ""),
            **({"DefaultValue": str(specification["Default"])} if "Default" in specification else {}),
        }
        for name, specification in template.section("Parameters").items()
    ]
    types = sorted({resource["Type"] for resource in template.section("Resources").values()})
    identifiers = [
        {"ResourceType": name, "LogicalResourceIds": _of_type(template, name), "ResourceIdentifiers": []}
        for name in types
    ]
    return {
        "Parameters": parameters,
        "Description": template.body.get("Description", ""),
        "Capabilities": [],
        "ResourceTypes": types,
        "ResourceIdentifierSummaries": [item for item in identifiers if item["ResourceType"] != STACK_TYPE],
    }


def _of_type(template: Template, type_name: str) -> list[str]:
    resources = template.section("Resources").items()
    return [logical_id for logical_id, resource in resources if resource["Type"] == type_name]
