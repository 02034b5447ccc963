"""Log events of ``hookferry console``."""

from __future__ import annotations

from typing import Final

CONSOLE_STARTED: Final = "console.started"
"""The console serves its API and pages at `address`.

Never by itself. Without `login`, everyone who reaches this address may change everything."""

CONSOLE_STOPPED: Final = "console.stopped"
"""The console received a stop signal and has closed its store.

Never by itself. The next start reads on where it stopped."""

CONSOLE_FAILED: Final = "console.failed"
"""The console cannot read a `topic`, or cannot write its store. It tries again until it can.

Worry if it lasts: the pages show the state of then. Deliveries are not affected."""

CONSOLE_RECOVERED: Final = "console.recovered"
"""The console reads a `topic` again, after `console.failed`.

Never by itself."""

CONSOLE_SKIPPED: Final = "console.skipped"
"""Records of a `topic` are not in the store: they are no attempts, or retention deleted them before they were
read.

Worry if it repeats: another program writes to the topic, or the console is slower than the bridges."""

CONSOLE_REBUILT: Final = "console.rebuilt"
"""The console deleted its store and reads the topics from their beginning, because `cause`.

Worry if it repeats without a known cause, such as another group or a topic that was recreated."""

CONSOLE_TRIMMED: Final = "console.trimmed"
"""The console deleted `attempts` that are older than `console.keep_s`, or because the store was larger than
`console.max_size_mb`.

Worry if it deletes what you need: raise the limit."""

CONSOLE_CHANGED: Final = "console.changed"
"""A person changed something by API or page: `action`, `subject`, `by` and `reason`, as in the audit.

Never by itself."""

CONSOLE_REFUSED: Final = "console.refused"
"""The console refused requests: an unknown host, another site, or a wrong token. Written at most once per
minute and kind.

Worry if it repeats: someone tries tokens, or a proxy needs its name in `console.hosts`."""

CONSOLE_LOGGED_IN: Final = "console.logged_in"
"""A person (`by`, with its `role`) logged in to the pages, by token or at the OpenID provider.

Worry if that person should not have a login."""

CONSOLE_BUG: Final = "console.failed_inside"
"""A request to the console failed because of an error in the console; the line has the traceback.

Always: this is a bug. Report it. Deliveries are not affected."""

CONSOLE_JOB_FAILED: Final = "console.job_failed"
"""The console could not go on with a re-send (`job`). It stays as it is, and is taken over.

Worry if it repeats for the same job: cancel it, and find the `cause`."""

CONSOLE_OIDC_FAILED: Final = "console.oidc_failed"
"""The OpenID provider (`issuer`) did not answer with its keys. Written at most once per minute.

Worry if it lasts: people cannot log in once the keys that are known are replaced. Tokens of
`console.tokens` work."""
