from __future__ import annotations

from pathlib import Path

from tests.infra.synthesized import Stacks, plain, synthesize


def test_every_alarm_reaches_somebody_and_silence_is_no_alarm(prod: Stacks) -> None:
    alarms = prod.pipeline.of_type("AWS::CloudWatch::Alarm")
    assert alarms
    for alarm in alarms:
        assert [plain(each) for each in alarm["Properties"]["AlarmActions"]] == ["<Alarms>"]
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"


def test_executions_that_end_badly_and_events_that_are_lost_are_alarms(prod: Stacks) -> None:
    for name in ("Intake", "Events", "Batch", "Training", "Deployment"):
        for end, metric in (
            ("Failed", "ExecutionsFailed"),
            ("Aborted", "ExecutionsAborted"),
            ("TimedOut", "ExecutionsTimedOut"),
        ):
            alarm = prod.pipeline.properties(f"Observability/{name}{end}")
            assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/States", metric)
            (dimension,) = alarm["Dimensions"]
            assert dimension["Name"] == "StateMachineArn"
            assert plain(dimension["Value"]) == f"<Machines{name}>"
    for name, queue in (
        ("UploadsUndelivered", "UndeliveredUploads"),
        ("EndingsUntold", "UndeliveredEndings"),
    ):
        lost = prod.pipeline.properties(f"Observability/{name}")
        assert lost["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert plain(lost["Dimensions"][0]["Value"]) == f"<Machines{queue}.QueueName>"
        assert queue in lost["AlarmDescription"]


def test_a_model_that_is_taken_back_is_an_alarm_whoever_asked_for_it(prod: Stacks) -> None:
    alarm = prod.pipeline.properties("Observability/RolledBack")
    # As CountOutcome of the machine counts it.
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Sluice/Deployments", "RolledBack")
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": "sluice-bank-prod"}]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 1)


def test_the_outcome_is_told_apart_from_the_alarms(prod: Stacks) -> None:
    (alarm,) = prod.pipeline.properties("Observability/TrainingFailed")["AlarmActions"]
    assert plain(alarm) == "<Alarms>"
    assert prod.pipeline.settings("Training")["topic_arn"] == "<Outcomes>"


def test_addresses_subscribe_where_they_should(project_folder: Path, tmp_path: Path) -> None:
    stacks = synthesize(
        tmp_path, project=str(project_folder), environment="local", alarm_email="ops@example.com"
    )
    (subscription,) = stacks.data.of_type("AWS::SNS::Subscription")
    assert plain(subscription["Properties"]["TopicArn"]) == "<Alarms>"


def test_the_dashboard_shows_the_endpoint_the_machines_and_the_last_failures(prod: Stacks) -> None:
    dashboard = prod.pipeline.properties("Observability/Dashboard")
    # Dashboards are an account's, not a region's.
    assert plain(dashboard["DashboardName"]) == "sluice-bank-prod-<Region>"
    body = plain(dashboard["DashboardBody"])
    for shown in (
        "ModelLatency",
        "Invocation5XXErrors",
        "ExecutionsFailed",
        "sluice-bank-prod",
        "<MachinesTrainingLogs>",
    ):
        assert shown in body
