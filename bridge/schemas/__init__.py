"""Schemas: read from folders, fetched from registries, imported from Fineract's archives."""
