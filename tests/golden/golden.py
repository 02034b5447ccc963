"""The golden files: the request of each preset and sample event, formatted for reading.

``python -m tests.golden.golden`` writes them; check ``git diff`` afterwards. A file contains the headers, the
formatted body, and the length and hash of its exact bytes.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from bridge.preflight.samples import sample
from bridge.receivers import PRESETS
from tools.gallery import events_of, shown

FOLDER = Path(__file__).parent


def wanted() -> dict[Path, str]:
    """Return every file with its expected text."""
    return {
        FOLDER / preset / f"{type_}.json": text(preset, type_)
        for preset in PRESETS
        for type_ in events_of(PRESETS[preset])
    }


def text(preset: str, type_: str) -> str:
    """Return the golden text of one preset and event."""
    headers, body = shown(PRESETS[preset], sample(type_))
    golden = {
        "headers": {name.decode(): value.decode() for name, value in headers},
        "body": json.loads(body),
        "bytes": len(body),
        "sha256": sha256(body).hexdigest(),
    }
    return json.dumps(golden, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the expected files, and remove all others."""
    files = wanted()
    for path, golden in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(golden, encoding="utf-8")
    for path in set(FOLDER.glob("*/*.json")) - files.keys():
        path.unlink()


if __name__ == "__main__":
    main()
