"""Schema registries: what a record names by an id is fetched, made ready to decode with, and kept.

Edge floor; httpx, since a schema is fetched once. ``client`` asks over HTTP, ``confluent`` and ``apicurio``
know the two APIs, ``learn`` puts what came into the store that a decoder looks into.
"""
