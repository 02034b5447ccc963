"""The rules of the bridge: pure, synchronous code without a client, a clock or settings."""
