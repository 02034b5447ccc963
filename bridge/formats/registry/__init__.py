"""Values framed by a schema registry: Avro, JSON Schema, Protobuf."""
