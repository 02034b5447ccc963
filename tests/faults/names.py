"""Names and numbers that every part of the harness shares.

The entities from some number on are not the producer's: transactions have one each, and so have records that
no client can read.
"""

TOPIC = "outbox"
GROUP = "faults"
SOURCE = "orders"
"""The name of the source in the configuration of the bridges (``plain_config``)."""
FIRST_TRANSACTION = 1_000_000
FIRST_OF_SIDE = 2_000_000
FIRST_POISONED = 3_000_000
