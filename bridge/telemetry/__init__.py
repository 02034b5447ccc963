"""Log events, metrics, and how logs are written."""
