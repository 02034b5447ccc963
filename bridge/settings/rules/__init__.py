"""Rules that concern more than one setting."""
