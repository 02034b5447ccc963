"""Step 1 and the last one: the Kafka edge. Records come in here, and offsets go out.

aiokafka stays inside this package and ``bridge/dead_letters/topic.py``; what leaves it are the types of
``bridge/model.py``. ``reader`` is the member of the consumer group, ``offsets`` keeps the cursors
of the endpoints, ``client`` says how a broker is reached.
"""
