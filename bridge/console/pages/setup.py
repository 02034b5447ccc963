"""The pages of what is set: switches, schemas, the configuration in force, and the audit.

Invariant: a switch is set with a reason, and the page names what it affects before.
"""

from __future__ import annotations

from fastapi import Response

from bridge.console.pages.names import EndpointNames
from bridge.console.pages.page_request import Problem, local_path
from bridge.console.pages.shell import Shell, Visit
from bridge.console.ports import Actions, Reads

_PAGE = 50


class SetupPages:
    """Switches, schemas, configuration and audit."""

    def __init__(self, shell: Shell, reads: Reads, actions: Actions, names: EndpointNames) -> None:
        self._shell = shell
        self._reads = reads
        self._names = names
        self._actions = actions

    async def switches(self, visit: Visit) -> Response:
        """Show what is switched off, and all switches that were ever set."""
        switches = await self._reads.switches()
        names = await self._names.all()
        return self._shell.page(
            visit, "switches.html", switches=switches, endpoint_names=names, now=self._shell.now_s()
        )

    async def switch_endpoint(self, visit: Visit) -> Response:
        """Turn an endpoint on or off."""
        name, on = visit.value("endpoint"), _on(visit)
        if not name:
            raise Problem(400, "Nothing was changed: choose an endpoint.")
        done = await self._actions.switch_endpoint(name, on, visit.who())
        return self._shell.then(visit, local_path(visit.value("back") or "/switches"), done.message)

    async def switch_events(self, visit: Visit) -> Response:
        """Turn event types on or off, for one endpoint or for all."""
        pattern, on = visit.value("pattern"), _on(visit)
        if not pattern:
            raise Problem(400, "Nothing was changed: write a type, or a pattern such as Loan*.")
        done = await self._actions.switch_events(pattern, visit.value("endpoint") or "*", on, visit.who())
        return self._shell.then(visit, local_path(visit.value("back") or "/switches"), done.message)

    async def schemas(self, visit: Visit) -> Response:
        """Show the schemas of all sources that match the text of the URL."""
        text = visit.request.query_params.get("text", "").strip()[:200]
        schemas = [
            schema
            for schema in await self._reads.schemas()
            if text.casefold() in f"{schema.name} {schema.source}".casefold()
        ]
        return self._shell.page(visit, "schemas.html", schemas=schemas, text=text)

    async def config(self, visit: Visit) -> Response:
        """Show the configuration in force, and how the file differs from it."""
        return self._shell.page(
            visit, "config.html", config=await self._reads.config(), now=self._shell.now_s()
        )

    async def audit(self, visit: Visit) -> Response:
        """Show who changed what, newest first."""
        cursor = visit.request.query_params.get("cursor") or None
        page = await self._reads.changes(cursor, _PAGE)
        return self._shell.page(
            visit,
            "audit.html",
            changes=page.items,
            cursor=page.cursor,
            paged=bool(cursor),
            now=self._shell.now_s(),
        )


def _on(visit: Visit) -> bool:
    to = visit.value("to")
    if to not in ("on", "off"):
        raise Problem(400, "Nothing was changed: choose on or off.")
    return to == "on"
