"""Schemas on disk and from registries."""
