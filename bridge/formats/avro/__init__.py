"""Avro values, read by a plan with bounds."""
