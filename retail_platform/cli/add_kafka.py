"""``add-kafka``: the web shop's topics for the demo, on a machine that has Java."""

import click


@click.command("add-kafka")
def add_kafka() -> None:
    """Fetch a Kafka for the demo (43 MB from Maven Central, once) and print its folder.

    It needs Java 17 or newer; a machine that has it already is left as it is.
    """
    from retail_platform.simulator.kafka_jars import install_kafka

    click.echo(install_kafka())
