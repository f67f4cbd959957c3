"""How far a consumer group has come in a topic, as the cluster itself keeps it.

For readers beside the hours, which commit after each batch. The hours' offsets are in the control
database (`retail_platform.control.offsets`).
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException, TopicPartition

from retail_platform.extract.kafka_client import REQUEST_SECONDS, KafkaClient


class GroupOffsets:
    """The offsets of one client's group in its topic."""

    def __init__(self, client: KafkaClient) -> None:
        """Use the group that the client's settings name."""
        self._client = client

    def committed(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offset up to which the group has read, by partition; only where it has.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses.
        """
        asked = [TopicPartition(self._client.topic, partition) for partition in partitions]
        answers = self._client.asked(
            f"the offsets of group {self._client.settings.group} cannot be asked for",
            lambda: _accepted(self._client.consumer.committed(asked, timeout=REQUEST_SECONDS)),
        )
        return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}

    def commit(self, ends: Mapping[int, int]) -> None:
        """Keeps the offset up to which the group has read, by partition.

        Raises:
            TransientFailure: the cluster does not answer; what was read is read again.
            PermanentFailure: the cluster refuses.
        """
        told = [TopicPartition(self._client.topic, p, end) for p, end in ends.items()]
        self._client.asked(
            f"the offsets of group {self._client.settings.group} cannot be kept",
            lambda: _accepted(self._client.consumer.commit(offsets=told, asynchronous=False) or []),
        )


def _accepted(answers: list[TopicPartition]) -> list[TopicPartition]:
    refused = next((answer.error for answer in answers if answer.error is not None), None)
    if refused is not None:
        raise KafkaException(refused)
    return answers
