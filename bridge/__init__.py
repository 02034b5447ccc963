"""Hookferry: a bridge that carries outbox events from Kafka to HTTP receivers and loses none.

Read ``bridge/pipeline/pipeline.py`` first; it names the step files in the order an event passes them.
"""

__version__ = "0.1.0"
