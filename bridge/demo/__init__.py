"""The demo: a bank's events, a broker in memory and a receiver, so that the bridge can be seen at work.

Top floor beside the commands; nothing of the bridge imports it.
"""
