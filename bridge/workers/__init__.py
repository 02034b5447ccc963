"""Several worker processes under one supervisor. No event and no Kafka client is in the supervisor."""
