"""Names that every part of the harness shares."""

TOPIC = "outbox"
GROUP = "faults"
