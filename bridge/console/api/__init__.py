"""The API of the console under ``/api/v1``, and the feed of the receivers.

Invariant: every error is a problem document (RFC 9457), and every change needs the role ``operate``.
"""
