"""Reading: files and environment variables become plain values with places."""
