"""Name a member of the consumer group so that it has the same name after a restart.

Invariant: two processes that run at the same time have different names, unless they share a state directory,
whose lock admits one process only.
"""

from __future__ import annotations

import hashlib
import re

_MOST_CHARACTERS = 200
"""Of the host name. Kafka accepts 249 characters for the whole name."""
_DIGEST_CHARACTERS = 12


def member_name(host: str, state_id: str, folder: str) -> str:
    """Return the default ``kafka.group_instance_id``: the host, and a digest of the state directory.

    ``state_id``: the random id in the state directory; it differs between machines with one host name.
    ``folder``: its absolute path; it differs between copies of the directory on one host.
    Kafka accepts letters, digits, ``.``, ``_`` and ``-`` (``Topic.validate`` of its clients).
    """
    digest = hashlib.sha256(f"{state_id}\0{folder}".encode()).hexdigest()[:_DIGEST_CHARACTERS]
    readable = re.sub(r"[^A-Za-z0-9._-]", "-", host)[:_MOST_CHARACTERS]
    return f"{readable or 'host'}.{digest}"
