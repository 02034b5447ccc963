"""Replays: temporary cursors with an end, next to the path and through the same steps.

``replays.py`` decides which jobs run in this process, and ends them with the assignment. ``run.py`` carries
one out for the partitions that are assigned here. ``gate.py`` gives live deliveries precedence.
"""
