"""The store of the console: one set of queries over SQLite and PostgreSQL.

Invariant: rows are written in one transaction with the position in the topic that they came from.
"""
