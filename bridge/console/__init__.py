"""``hookferry console``: a searchable store of what the topics contain, an API and pages.

Invariant: the topics are the truth. The store is built from them, and is rebuilt when it is lost.
"""
