"""Who hears of what, and where people look: alarms and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.functions import DRIFT_NAMESPACE, SKEW_NAMESPACE
from infra.machines import DEPLOYMENTS_NAMESPACE
from sluice.outcomes import Outcome

_FIVE_MINUTES = cdk.Duration.minutes(5)
# One entity of the largest sample: any skew at all.
_TOLERATED_SKEW = 1e-5


class Observability(Construct):
    """Alarms on what nobody would otherwise hear of, and one dashboard."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarm_topic: sns.ITopic,
        machines: Mapping[str, sfn.StateMachine],
        functions: Mapping[str, lambda_.Function],
        training_log_group: str,
        undelivered: sqs.Queue,
        untold: sqs.Queue,
        endpoint_name: str,
        captures: bool,
        online_store: str,
        api_name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(alarm_topic)
        for name, machine in machines.items():
            self._alarm(
                f"{name}Failed",
                machine.metric_failed(period=_FIVE_MINUTES),
                f"{name}: an execution failed. Its cause says what, where, why and what to do.",
            )
            self._alarm(
                f"{name}Aborted",
                machine.metric_aborted(period=_FIVE_MINUTES),
                f"{name}: somebody stopped an execution.",
            )
            self._alarm(
                f"{name}TimedOut",
                machine.metric_timed_out(period=_FIVE_MINUTES),
                f"{name}: an execution ran into the machine's time limit.",
            )
        for name, function in functions.items():
            # They raise for each file they refuse. That is their answer; the alarms on the machines tell.
            if name not in ("ValidateDataset", "PrepareBatch"):
                self._alarm(
                    f"{name}Errors", function.metric_errors(period=_FIVE_MINUTES), f"{name} raised an error"
                )
        for name, queue, description in (
            ("UploadsUndelivered", undelivered, "An upload did not start the intake; the event is in {}."),
            ("EndingsUntold", untold, "Nobody was told how an execution ended; the event is in {}."),
        ):
            self._alarm(
                name,
                queue.metric_approximate_number_of_messages_visible(
                    period=_FIVE_MINUTES, statistic="Maximum"
                ),
                description.format(f"the queue {queue.node.id}"),
            )
        self._alarm(
            "RolledBack",
            cloudwatch.Metric(
                namespace=DEPLOYMENTS_NAMESPACE,
                metric_name=Outcome.ROLLED_BACK,
                dimensions_map={"EndpointName": endpoint_name},
                statistic="Sum",
                period=_FIVE_MINUTES,
            ),
            "A model was deployed and taken back: `sluice releases` says by which alarm.",
        )
        if captures:
            self._drift_alarms(endpoint_name)
        if online_store:
            self._alarm(
                "SkewFound",
                cloudwatch.Metric(
                    namespace=SKEW_NAMESPACE,
                    metric_name="SkewRate",
                    dimensions_map={"OnlineStore": online_store},
                    statistic="Maximum",
                    period=_FIVE_MINUTES,
                ),
                "The online store holds other features than the dataset says: `sluice skew` prints which.",
                threshold=_TOLERATED_SKEW,
            )
        if api_name:
            self._alarm(
                "ApiFailed",
                cloudwatch.Metric(
                    namespace="AWS/ApiGateway",
                    metric_name="5XXError",
                    dimensions_map={"ApiName": api_name},
                    statistic="Sum",
                    period=_FIVE_MINUTES,
                ),
                "The HTTP API answered with a status of 500 or above; its log says which requests those were.",
            )
        drift = [_drift_row(endpoint_name)] if captures else []
        self._dashboard(machines, functions, endpoint_name, training_log_group, drift)

    def _drift_alarms(self, endpoint_name: str) -> None:
        """Say of the last window that was judged what it showed.

        Data points come once a window, and none of one that was not judged. What is missing is ignored: the alarm
        stays what the last verdict made it, until another one says otherwise.
        """
        for name, metric, description in (
            (
                "DataDrifted",
                "DriftedColumns",
                "What the model is asked is not what it was judged on: `sluice drift` says which columns moved.",
            ),
            (
                "PredictionsDrifted",
                "PredictionDrifted",
                "What the model answers is not what it answered when it was judged: `sluice drift` says by how much.",
            ),
        ):
            self._alarm(
                name,
                cloudwatch.Metric(
                    namespace=DRIFT_NAMESPACE,
                    metric_name=metric,
                    dimensions_map={"EndpointName": endpoint_name},
                    statistic="Maximum",
                    period=_FIVE_MINUTES,
                ),
                description,
                missing=cloudwatch.TreatMissingData.IGNORE,
            )

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        threshold: float = 1,
        # No executions, no data points: that is quiet, not broken.
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            alarm_description=description,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)

    def _dashboard(
        self,
        machines: Mapping[str, sfn.StateMachine],
        functions: Mapping[str, lambda_.Function],
        endpoint_name: str,
        training_log_group: str,
        drift: list[list[cloudwatch.IWidget]],
    ) -> None:
        """Top to bottom in the order of the questions: does it serve, does it train, why did it fail.

        Between the first two, where traffic is captured: is it what the model knows.
        """
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            # Dashboards are global: without the region two deployments would share one.
            dashboard_name=f"{cdk.Stack.of(self).stack_name}-{cdk.Aws.REGION}",
            default_interval=cdk.Duration.days(1),
            widgets=[
                _endpoint_row(endpoint_name),
                *drift,
                _executions_row(machines),
                _functions_row(functions),
                [
                    cloudwatch.LogQueryWidget(
                        title="Last failures of training",
                        log_group_names=[training_log_group],
                        query_lines=[
                            "fields @timestamp, details.error, details.cause, execution_arn",
                            "filter type = 'ExecutionFailed' or type = 'ExecutionTimedOut'",
                            "sort @timestamp desc",
                            "limit 20",
                        ],
                        width=24,
                        height=6,
                    )
                ],
            ],
        )


def _endpoint_row(endpoint_name: str) -> list[cloudwatch.IWidget]:
    def metric(name: str, statistic: str, label: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map={"EndpointName": endpoint_name, "VariantName": "AllTraffic"},
            statistic=statistic,
            label=label,
            period=cdk.Duration.minutes(1),
        )

    return [
        cloudwatch.GraphWidget(
            title="Requests a minute",
            left=[metric("Invocations", "Sum", "requests")],
            right=[
                metric("Invocation4XXErrors", "Sum", "4xx: refused"),
                metric("Invocation5XXErrors", "Sum", "5xx: failed"),
            ],
            width=12,
        ),
        cloudwatch.GraphWidget(
            title="Model latency (µs)",
            left=[metric("ModelLatency", percentile, percentile) for percentile in ("p50", "p95", "p99")],
            width=12,
        ),
    ]


def _drift_row(endpoint_name: str) -> list[cloudwatch.IWidget]:
    def metric(name: str, label: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=DRIFT_NAMESPACE,
            metric_name=name,
            dimensions_map={"EndpointName": endpoint_name},
            statistic="Maximum",
            label=label,
            period=cdk.Duration.hours(1),
        )

    return [
        cloudwatch.GraphWidget(
            title="Drift of captured traffic",
            left=[metric("DriftedColumns", "columns that moved")],
            right=[
                metric("PredictionDrift", "how far the answers moved"),
                metric("VisibleShift", "what would have been seen"),
            ],
            width=12,
        ),
        cloudwatch.GraphWidget(
            title="Captured requests",
            left=[metric("Rows", "rows in a window"), metric("UnreadRecords", "requests that were not read")],
            width=12,
        ),
    ]


def _executions_row(machines: Mapping[str, sfn.StateMachine]) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(
            title=f"{name}: executions",
            left=[
                machine.metric_started(label="started", period=_FIVE_MINUTES),
                machine.metric_succeeded(label="succeeded", period=_FIVE_MINUTES),
                machine.metric_failed(label="failed", color=cloudwatch.Color.RED, period=_FIVE_MINUTES),
                machine.metric_aborted(label="aborted", period=_FIVE_MINUTES),
                machine.metric_timed_out(label="timed out", period=_FIVE_MINUTES),
            ],
            right=[machine.metric_time(label="duration (ms)", statistic="Maximum", period=_FIVE_MINUTES)],
            width=24 // len(machines),
        )
        for name, machine in machines.items()
    ]


def _functions_row(functions: Mapping[str, lambda_.Function]) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(
            title="Functions: duration (ms, p95)",
            left=[
                function.metric_duration(label=name, statistic="p95", period=_FIVE_MINUTES)
                for name, function in functions.items()
            ],
            width=12,
        ),
        cloudwatch.GraphWidget(
            title="Functions: errors and throttles",
            left=[
                function.metric_errors(label=f"{name} errors", period=_FIVE_MINUTES)
                for name, function in functions.items()
            ],
            right=[
                function.metric_throttles(label=f"{name} throttles", period=_FIVE_MINUTES)
                for name, function in functions.items()
            ],
            width=12,
        ),
    ]
