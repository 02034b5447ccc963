"""The rules of the bridge, as pure synchronous code: no client, no clock, no settings.

Instants, counts and settings are parameters, so every rule can be read and tested on its own.
"""
