"""What ``hookferry check`` tries before the bridge runs: files, templates, filters."""
