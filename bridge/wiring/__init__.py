"""Build the parts of the bridge from the settings."""
