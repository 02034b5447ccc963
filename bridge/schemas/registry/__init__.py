"""Schema registries: fetch the schema for the id in a record, prepare it for decoding, and keep it.

``client`` sends the requests (with httpx: a schema is fetched once), ``confluent`` and ``apicurio``
implement the two APIs, ``learn`` fills the store that decoders read.
"""
