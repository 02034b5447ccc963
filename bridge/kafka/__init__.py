"""The Kafka edge: it reads records, commits offsets and writes the internal topics.

Only this package imports aiokafka. It returns the types of ``bridge/model`` and raises the
exceptions of ``bridge/errors.py``; ``broker_call.py`` maps the foreign ones.

- ``client``: how to reach the brokers. ``aiokafka_patches``: repairs of aiokafka.
- ``group_member``, ``group_view``: the member of the consumer group. ``group_reader``: what it reads.
- ``side_reader``: a consumer without a group.
- ``poisonous_record``, ``held_back``: records that cannot be had, partitions without room.
- ``membership``, ``assignor``, ``assignment_check``: its parameters, and who gets which partition.
- ``member_name``, ``leaving``, ``group_requests``: its lasting name in the group.
- ``offsets``: the cursors of the endpoints. ``producer``: writes that all replicas acknowledge.
- ``topic_patterns``, ``matched_topics``: topics that sources read by pattern.
- ``topics``, ``topic_setup``: topics and their settings. ``session``: a connection for one command.
- ``control_reader``, ``control_topic``: ``<group>.control``.
"""
