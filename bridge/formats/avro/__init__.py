"""Decode Avro values in bounded time and memory."""
