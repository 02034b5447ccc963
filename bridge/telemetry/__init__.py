"""What the bridge tells about itself: log events, metrics, and how logs are written."""
