"""Files and environment variables become plain values with positions."""
