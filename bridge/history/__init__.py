"""The history: every attempt is kept in ``<group>.attempts``, and found there again.

``attempt`` is what is kept, ``batch`` the format of a record, ``stream`` and ``writer`` write it,
``reader`` and ``selection`` find it.
"""
