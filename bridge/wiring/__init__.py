"""Settings become the parts of the bridge."""
