"""``python -m bridge`` is ``hookferry``."""

from bridge.cli import main

main()
