"""Decode values that name a schema in a registry: Avro, JSON Schema, Protobuf."""
