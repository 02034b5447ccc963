"""The settings as pydantic models."""
