"""What `hookferry doctor` tries: brokers, topics, rights, schemas, clock, and receivers. Sends no event."""
