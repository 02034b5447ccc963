"""What the bridge keeps in files of its own on the local disk."""
