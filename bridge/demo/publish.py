"""Publish one order event by hand while ``hookferry demo --keep`` runs.

Run as ``python -m bridge.demo.publish HOST:PORT ENTITY TYPE``; the demo prints the whole command.
"""

from __future__ import annotations

import click
from confluent_kafka import Producer

from bridge.demo.broker import publish
from bridge.demo.samples import ORDERS_TOPIC, order_record
from bridge.errors import HookferryError


@click.command()
@click.argument("broker")
@click.argument("entity")
@click.argument("type")
@click.option("--topic", default=ORDERS_TOPIC, show_default=True, help="The topic.")
def main(broker: str, entity: str, type: str, topic: str) -> None:
    """Publish an event of TYPE about ENTITY to the demo's BROKER (host:port)."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 0, "log_level": 2})
    try:
        publish(producer, topic, entity.encode(), order_record(entity, type, total="1.00"))
    except HookferryError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"published {type} of {entity} to {topic}")


if __name__ == "__main__":
    main()
