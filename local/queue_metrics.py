"""The AWS/SQS metrics that alarms look at: how many messages wait in a queue."""

from __future__ import annotations

from moto.sqs.models import sqs_backends

from local import metrics

NAME = "ApproximateNumberOfMessagesVisible"


class QueueMetrics:
    """Puts the depth of each queue that holds something, and once more when it is empty again."""

    def __init__(self) -> None:
        self._filled: set[str] = set()

    def put(self) -> None:
        for account, region, backend in sqs_backends.iter_backends():
            for queue in list(backend.queues.values()):
                waiting = queue.approximate_number_of_messages
                if waiting or queue.queue_arn in self._filled:
                    values = {NAME: (float(waiting), "Count")}
                    metrics.put(account, region, "AWS/SQS", values, {"QueueName": queue.name})
                (self._filled.add if waiting else self._filled.discard)(queue.queue_arn)
