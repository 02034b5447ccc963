"""Generators of docs/ and schemas/: run by `make docs` and `make format`, not part of the wheel."""
