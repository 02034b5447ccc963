"""The demo: the bridge at work between an embedded broker and simulated receivers.

The bridge itself imports nothing from here.
"""
