"""The HTTP API: API Gateway's REST API, its stage, who may ask, and what is refused before any function runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.config import DeployConfig
from infra.grants import Grant, arn
from sluice import naming
from sluice.api import gateway_responses, schemas
from sluice.api.openapi import PATH
from sluice.api_table import Api as Table
from sluice.project import Project

_VERB = "POST"
_Part = TypeVar("_Part", bound=cdk.CfnResource)


class Api(Construct):
    """POST /invocations, handed to AnswerRequest. `callers` is None where a key opens it, `key` where IAM does."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeployConfig,
        project: Project,
        table: Table,
        function: lambda_.Function,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = naming.api(project.name, config.environment)
        self.stage_name = config.environment
        self.rest_api = apigateway.CfnRestApi(
            self,
            "RestApi",
            name=self.name,
            description=f"Predictions of {project.name}, {config.environment}",
            endpoint_configuration=apigateway.CfnRestApi.EndpointConfigurationProperty(types=["REGIONAL"]),
        )
        # What a deployment holds, by construct id: the resources, and what they are told.
        self._parts: dict[str, cdk.CfnResource] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._method(table, function)
        self._responses(table)
        self.stage = self._stage(table)
        asked = f"{self.rest_api.ref}/{self.stage_name}/{_VERB}{PATH}"
        invoked = arn("execute-api", asked.partition("/")[0], asked.partition("/")[2])
        lambda_.CfnPermission(
            self,
            "MayInvoke",
            action="lambda:InvokeFunction",
            function_name=function.function_arn,
            principal="apigateway.amazonaws.com",
            source_arn=invoked,
        )
        self.key = self._key(table) if table.authorization == "api_key" else None
        self.callers = self._callers(invoked) if table.authorization == "iam" else None

    @property
    def url(self) -> str:
        aws = cdk.Aws
        host = f"{self.rest_api.ref}.execute-api.{aws.REGION}.{aws.URL_SUFFIX}"
        return f"https://{host}/{self.stage_name}"

    def _part(self, kind: Callable[..., _Part], construct_id: str, **told: Any) -> _Part:
        made = kind(self, construct_id, rest_api_id=self.rest_api.ref, **told)
        self._parts[construct_id], self._told[construct_id] = made, told
        return made

    def _method(self, table: Table, function: lambda_.Function) -> None:
        resource = self._part(
            apigateway.CfnResource,
            "Resource",
            parent_id=self.rest_api.attr_root_resource_id,
            path_part=PATH.removeprefix("/"),
        )
        model = self._part(
            apigateway.CfnModel,
            "PredictionRequest",
            content_type="application/json",
            name="PredictionRequest",
            schema=schemas.forms(table.max_rows),
        )
        validator = self._part(
            apigateway.CfnRequestValidator, "Validator", name="body", validate_request_body=True
        )
        invocations = f"lambda:path/2015-03-31/functions/{function.function_arn}/invocations"
        self._part(
            apigateway.CfnMethod,
            "Method",
            resource_id=resource.ref,
            http_method=_VERB,
            operation_name="predict",
            authorization_type="AWS_IAM" if table.authorization == "iam" else "NONE",
            api_key_required=table.authorization == "api_key",
            # For any type: a body of a type without a model would not be looked at.
            request_models={"$default": model.ref},
            request_validator_id=validator.ref,
            integration=apigateway.CfnMethod.IntegrationProperty(
                type="AWS_PROXY",
                integration_http_method="POST",
                uri=f"arn:{cdk.Aws.PARTITION}:apigateway:{cdk.Aws.REGION}:{invocations}",
                timeout_in_millis=table.timeout_seconds * 1_000,
            ),
        )

    def _responses(self, table: Table) -> None:
        for response_type, response in gateway_responses.gateway_responses(table).items():
            self._part(
                apigateway.CfnGatewayResponse,
                f"Response{response_type}",
                response_type=response_type,
                status_code=None if response.status is None else str(response.status),
                response_parameters=response.parameters,
                response_templates={"application/json": response.template},
            )

    def _stage(self, table: Table) -> apigateway.CfnStage:
        """Deploy what there is. A deployment holds an API as it was: where a part changes, it is another one."""
        told = json.dumps(cdk.Stack.of(self).resolve(self._told), sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest()[:16]
        deployment = apigateway.CfnDeployment(self, f"Deployment{digest}", rest_api_id=self.rest_api.ref)
        for part in self._parts.values():
            deployment.add_dependency(part)
        return apigateway.CfnStage(
            self,
            "Stage",
            rest_api_id=self.rest_api.ref,
            deployment_id=deployment.ref,
            stage_name=self.stage_name,
            method_settings=[
                apigateway.CfnStage.MethodSettingProperty(
                    resource_path="/*",
                    http_method="*",
                    throttling_rate_limit=table.rate_per_second,
                    throttling_burst_limit=table.burst,
                )
            ],
        )

    def _key(self, table: Table) -> apigateway.CfnApiKey:
        """Make a key, whose value AWS chooses: it is in no template."""
        key = apigateway.CfnApiKey(self, "Key", name=self.name, enabled=True)
        plan = apigateway.CfnUsagePlan(
            self,
            "UsagePlan",
            usage_plan_name=self.name,
            api_stages=[
                apigateway.CfnUsagePlan.ApiStageProperty(api_id=self.rest_api.ref, stage=self.stage.ref)
            ],
            throttle=apigateway.CfnUsagePlan.ThrottleSettingsProperty(
                rate_limit=table.rate_per_second, burst_limit=table.burst
            ),
            quota=None
            if table.quota_per_day is None
            else apigateway.CfnUsagePlan.QuotaSettingsProperty(limit=table.quota_per_day, period="DAY"),
        )
        apigateway.CfnUsagePlanKey(
            self, "PlanKey", key_id=key.ref, key_type="API_KEY", usage_plan_id=plan.ref
        )
        return key

    def _callers(self, invoked: str) -> iam.ManagedPolicy:
        """Make `<stack>-api-callers`, to be attached to who asks; the stack attaches it to nobody."""
        return iam.ManagedPolicy(
            self,
            "Callers",
            managed_policy_name=f"{self.name}-api-callers",
            description="May ask this pipeline's API for predictions",
            statements=[Grant(("execute-api:Invoke",), (invoked,)).statement()],
        )
