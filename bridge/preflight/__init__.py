"""What `check` tries before the bridge runs."""
