"""The console's pages: HTML made on the server, which works without a script.

``app`` builds them, ``shell`` guards every request, and the other modules have one area each. Templates
escape every value, so that no event data becomes markup.
"""
