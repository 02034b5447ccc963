"""The running process: start, stop, status and the admin server."""
