from __future__ import annotations

import json

from tests.infra.conftest import Synthesized, flat, synthesize


def test_every_alarm_reaches_somebody_and_silence_is_no_alarm(prod: Synthesized) -> None:
    topic = prod.stack.node.find_child("Topics").node.find_child("Alarms").node.default_child
    alarms = prod.of_type("AWS::CloudWatch::Alarm")
    assert alarms
    for alarm in alarms:
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": prod.logical_id(topic)}]
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"


def test_failed_executions_and_lost_uploads_are_alarms(prod: Synthesized) -> None:
    for name in ("Intake", "Training", "Deployment"):
        assert prod.properties(f"Observability/{name}Failed")["MetricName"] == "ExecutionsFailed"
    lost = prod.properties("Observability/UploadsUndelivered")
    assert lost["MetricName"] == "ApproximateNumberOfMessagesVisible"


def test_alarms_may_publish_to_their_topic(prod: Synthesized) -> None:
    statements = prod.properties("Topics/Alarms/Policy")["PolicyDocument"]["Statement"]
    (allowed,) = (each for each in statements if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


def test_the_outcome_is_told_apart_from_the_alarms(prod: Synthesized) -> None:
    training = prod.properties("Pipeline/Training")["DefinitionSubstitutions"]
    assert training["TopicArn"] != prod.properties("Observability/TrainingFailed")["AlarmActions"][0]


def test_addresses_subscribe_where_they_should(project_folder, tmp_path) -> None:
    stack = synthesize(
        tmp_path, project=str(project_folder), environment="local", alarm_email="ops@example.com"
    )
    (subscription,) = stack.of_type("AWS::SNS::Subscription")
    topic = stack.stack.node.find_child("Topics").node.find_child("Alarms").node.default_child
    assert subscription["Properties"]["TopicArn"] == {"Ref": stack.logical_id(topic)}


def test_the_dashboard_shows_the_endpoint_the_machines_and_the_last_failures(prod: Synthesized) -> None:
    dashboard = prod.properties("Observability/Dashboard")
    assert dashboard["DashboardName"] == "sluice-bank-prod"
    body = flat(dashboard["DashboardBody"])
    for shown in ("ModelLatency", "Invocation5XXErrors", "ExecutionsFailed", "sluice-bank-prod-Training"):
        assert shown in body
    assert json.dumps("sluice-bank-prod")[1:-1] in body
