"""AWS::SNS and AWS::SQS: topics, subscriptions, queues and their policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloudformation.boto_request import as_text
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType

_TOPIC = ("DisplayName", "KmsMasterKeyId", "FifoTopic", "ContentBasedDeduplication", "SignatureVersion")


def _create_topic(operation: Operation) -> Resource:
    name = operation.name("TopicName", longest=256)
    attributes = _attributes(operation, _TOPIC)
    arguments = {"Name": name, "Attributes": attributes, **operation.pick("Tags")}
    topic = operation.call("sns", "create_topic", arguments)["TopicArn"]
    operation.exists(topic)
    _subscribe(operation, topic)
    return Resource(topic, {"TopicArn": topic, "TopicName": name})


def _update_topic(operation: Operation) -> Resource:
    client, topic = operation.client("sns"), operation.physical_id
    for name in _TOPIC:
        if operation.changed(name):
            value = as_text(operation.properties.get(name, ""))
            client.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    _subscribe(operation, topic)
    operation.retag("sns", {"ResourceArn": topic}, "tag_resource", "untag_resource")
    return Resource(topic, {"TopicArn": topic, "TopicName": topic.rsplit(":", 1)[1]})


def _subscribe(operation: Operation, topic: str) -> None:
    """Brings the subscriptions a topic declares itself to those of the template."""
    client = operation.client("sns")
    old, new = _endpoints(operation.previous), _endpoints(operation.properties)
    existing = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] if old - new else []
    for subscription in existing:
        if (subscription["Protocol"], subscription["Endpoint"]) in old - new:
            client.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    for protocol, endpoint in sorted(new - old):
        client.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)


def _endpoints(properties: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(item["Protocol"], item["Endpoint"]) for item in properties.get("Subscription", [])}


def _attributes(operation: Operation, names: tuple[str, ...]) -> dict[str, str]:
    return {name: as_text(value) for name, value in operation.pick(*names).items()}


TOPIC = ResourceType(
    name="AWS::SNS::Topic",
    create=_create_topic,
    update=_update_topic,
    delete=lambda operation: operation.client("sns").delete_topic(TopicArn=operation.physical_id),
    applied=frozenset({"TopicName", "Subscription.Protocol", "Subscription.Endpoint", "Tags", *_TOPIC}),
    replacement=frozenset({"TopicName", "FifoTopic"}),
    name_property="TopicName",
)

_SUBSCRIPTION = ("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")


def _create_subscription(operation: Operation) -> Resource:
    arguments = operation.pick("TopicArn", "Protocol", "Endpoint")
    attributes = _attributes(operation, _SUBSCRIPTION)
    arn = operation.client("sns").subscribe(**arguments, Attributes=attributes, ReturnSubscriptionArn=True)[
        "SubscriptionArn"
    ]
    return Resource(arn, {"Arn": arn})


def _update_subscription(operation: Operation) -> Resource:
    client, arn = operation.client("sns"), operation.physical_id
    for name in _SUBSCRIPTION:
        if operation.changed(name):
            value = as_text(operation.properties.get(name, {} if name == "FilterPolicy" else ""))
            client.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
    return Resource(arn, {"Arn": arn})


SUBSCRIPTION = ResourceType(
    name="AWS::SNS::Subscription",
    create=_create_subscription,
    update=_update_subscription,
    delete=lambda operation: operation.client("sns").unsubscribe(SubscriptionArn=operation.physical_id),
    applied=frozenset({"TopicArn", "Protocol", "Endpoint", *_SUBSCRIPTION}),
    replacement=frozenset({"TopicArn", "Protocol", "Endpoint"}),
)


def _put_topic_policy(operation: Operation) -> Resource:
    policy = as_text(operation.properties["PolicyDocument"])
    for topic in operation.properties["Topics"]:
        operation.client("sns").set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=policy
        )
    return Resource(operation.physical_id or operation.name("Id"))


def _keep_policy(_: Operation) -> None:
    """SNS has no operation that removes a topic's policy; as in AWS, it goes with the topic."""


TOPIC_POLICY = ResourceType(
    name="AWS::SNS::TopicPolicy",
    create=_put_topic_policy,
    update=_put_topic_policy,
    delete=_keep_policy,
    applied=frozenset({"PolicyDocument", "Topics"}),
)

_QUEUE_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DelaySeconds": "0",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "262144",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
_QUEUE = (*_QUEUE_DEFAULTS, "FifoQueue")


def _create_queue(operation: Operation) -> Resource:
    name = operation.name("QueueName", longest=80)
    arguments = {"QueueName": name, "Attributes": _attributes(operation, _QUEUE), **operation.pick("Tags")}
    return _queue(operation, operation.call("sqs", "create_queue", arguments)["QueueUrl"])


def _update_queue(operation: Operation) -> Resource:
    url = operation.physical_id
    changed = {
        name: as_text(operation.properties.get(name, default))
        for name, default in _QUEUE_DEFAULTS.items()
        if operation.changed(name)
    }
    if changed:
        operation.client("sqs").set_queue_attributes(QueueUrl=url, Attributes=changed)
    operation.retag("sqs", {"QueueUrl": url}, "tag_queue", "untag_queue")
    return _queue(operation, url)


def _queue(operation: Operation, url: str) -> Resource:
    name = url.rsplit("/", 1)[1]
    return Resource(url, {"Arn": operation.arn("sqs", name), "QueueName": name, "QueueUrl": url})


QUEUE = ResourceType(
    name="AWS::SQS::Queue",
    create=_create_queue,
    update=_update_queue,
    delete=lambda operation: operation.client("sqs").delete_queue(QueueUrl=operation.physical_id),
    applied=frozenset({"QueueName", "Tags", *_QUEUE}),
    replacement=frozenset({"QueueName", "FifoQueue"}),
    name_property="QueueName",
)


def _put_queue_policy(operation: Operation) -> Resource:
    policy = as_text(operation.properties["PolicyDocument"])
    for url in operation.properties["Queues"]:
        operation.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Resource(operation.physical_id or operation.name("Id"))


def _delete_queue_policy(operation: Operation) -> None:
    client = operation.client("sqs")
    for url in operation.previous["Queues"]:
        try:
            client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
        except client.exceptions.QueueDoesNotExist:
            continue  # the queue went first and took its policy with it


QUEUE_POLICY = ResourceType(
    name="AWS::SQS::QueuePolicy",
    create=_put_queue_policy,
    update=_put_queue_policy,
    delete=_delete_queue_policy,
    applied=frozenset({"PolicyDocument", "Queues"}),
)

TYPES = (TOPIC, SUBSCRIPTION, TOPIC_POLICY, QUEUE, QUEUE_POLICY)
