"""The pages of parked events: list, one event, and sending again or discarding with a confirmation.

Invariant: nothing is discarded without a page that names how many events it is, and a reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Response

from bridge.console.pages import filters
from bridge.console.pages.names import EndpointNames
from bridge.console.pages.page_request import Problem
from bridge.console.pages.shell import Shell, Visit
from bridge.console.ports import Actions, Done, Reads

_PAGE = 50
_ACTIONS = ("redrive", "discard")


class ParkedPages:
    """The list of parked events and what can be done with them."""

    def __init__(self, shell: Shell, reads: Reads, actions: Actions, names: EndpointNames) -> None:
        self._shell = shell
        self._reads = reads
        self._names = names
        self._actions = actions

    async def listing(self, visit: Visit) -> Response:
        """Show the parked events that the filters of the URL select, newest first."""
        now_s, given = self._shell.now_s(), visit.request.query_params
        query, typed = filters.parked(given, now_s)
        page = await self._reads.parked(query, given.get("cursor") or None, _PAGE)
        names = await self._names.all()
        return self._shell.page(
            visit, "parked.html", rows=page.items, cursor=page.cursor, paged=bool(given.get("cursor")),
            filters=typed, endpoint_names=names, now=now_s,
        )  # fmt: skip

    async def one(self, visit: Visit) -> Response:
        """Show one parked event: why, and the value of its record."""
        address = visit.request.query_params.get("address", "")
        detail = await self._reads.parked_one(address)
        if detail is None:
            raise Problem(404, f"There is no parked event {address!r}. The list has all that exist.")
        event = await self._reads.event(detail.row.event_id) if detail.row.event_id else None
        return self._shell.page(visit, "parked_one.html", detail=detail, event=event, now=self._shell.now_s())

    async def confirm(self, visit: Visit) -> Response:
        """Show what was selected, with a button that does it."""
        action, chosen = _action(visit), _chosen(visit)
        given = {name: visit.value(name) for name in filters.PARKED_FIELDS}
        _, typed = filters.parked(given, self._shell.now_s())
        everything = bool(visit.value("everything")) and action == "redrive"
        if not chosen and not everything:
            raise Problem(400, "No event is selected. Select events in the list first.")
        return self._shell.page(
            visit, "parked_confirm.html", action=action, addresses=chosen, everything=everything,
            filters=typed,
        )  # fmt: skip

    async def act(self, visit: Visit) -> Response:
        """Send the selected events again, or discard them."""
        done = await self._done(visit, _action(visit), _chosen(visit))
        return self._shell.then(visit, "/parked", done.message)

    async def _done(self, visit: Visit, action: str, chosen: Sequence[str]) -> Done:
        who = visit.who()
        if action == "discard":
            if not who.why:
                raise Problem(400, "Nothing was discarded: write the reason, because it cannot be undone.")
            return await self._actions.discard(chosen, who)
        if visit.value("everything"):
            given = {name: visit.value(name) for name in filters.PARKED_FIELDS}
            query, typed = filters.parked(given, self._shell.now_s())
            if typed.mistakes:
                raise Problem(400, f"Nothing was sent: {'; '.join(typed.mistakes)}.")
            return await self._actions.redrive_all(query, who)
        return await self._actions.redrive(chosen, who)


def _action(visit: Visit) -> str:
    action = visit.value("action")
    if action not in _ACTIONS:
        raise Problem(400, "This action does not exist.")
    return action


def _chosen(visit: Visit) -> Sequence[str]:
    return list(dict.fromkeys(address for address in visit.form.get("address", ()) if address))
