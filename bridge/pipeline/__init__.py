"""The path of an event, from a Kafka record to a settled delivery."""
