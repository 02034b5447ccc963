"""Repairs of aiokafka 0.14. Each module names its upstream issue and when it can be removed.

Every access to a private attribute of aiokafka is in this package, so an upgrade has one place to check.

- ``connection`` (aiokafka issue 1038): a write to a closed uvloop transport ends a background task.
- ``background_tasks`` (aiokafka issue 1154): a client does not report that one of its tasks ended.
- ``batch_bytes`` (no issue found): ``getmany`` limits a batch by the number of its records alone.
- ``fetch_codec`` (no issue found): a fetch costs a function call per field of each partition.
- ``fetch_sizes`` (no issue found): the sizes of a fetch cannot be changed after the assignment.
- ``closing`` (no issue found): ``stop`` and ``close`` have no timeout.
- ``failing_fetches`` (no issue found): one partition that its broker cannot read stalls the others.
- ``gathered_fetches`` (no issue found): a trickle of records costs a fetch per record.
- ``heartbeats`` (aiokafka issue 1040): a consumer does not report heartbeats, generation, coordinator.
- ``positions`` (no issue found): a consumer has no position that can be read without awaiting.
- ``static_member`` (no issue found): heartbeats and commits do not contain ``group.instance.id``.
- ``startup_noise`` (no issue found): error 15 on a new cluster, and a topic that was just created, are logged
  at ERROR.
- ``unreadable_records`` (no issue found): a record that cannot be parsed is read again forever.
"""
