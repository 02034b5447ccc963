"""Events that could not be delivered: parked, held and sent again."""
