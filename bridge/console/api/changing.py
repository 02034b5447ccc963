"""The routes that change something.

Each takes a reason, and an ``Idempotency-Key`` that makes repetitions safe.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from bridge.console.api.problems import Problem
from bridge.console.api.requests import (
    Discard,
    EventsSwitch,
    IdempotencyKey,
    Operator,
    Reason,
    Redrive,
    Replay,
    Resend,
    ResendAll,
    who,
)
from bridge.console.ports import Actions, Done


def changing_routes(actions: Actions) -> APIRouter:
    """Return the routes that change something."""
    router = APIRouter(tags=["operate"])
    _add_switches(router, actions)
    _add_parked(router, actions)
    _add_resends(router, actions)
    _add_jobs(router, actions)
    return router


def _add_switches(router: APIRouter, actions: Actions) -> None:
    @router.post("/endpoints/{name}/{state}", summary="Turn an endpoint on or off")
    async def switch_endpoint(
        actor: Operator, name: str, state: Literal["on", "off"], body: Reason, key: IdempotencyKey = None
    ) -> Done:
        return await actions.switch_endpoint(name, state == "on", who(actor, body, key))

    @router.post("/event-types/{state}", summary="Turn event types on or off")
    async def switch_events(
        actor: Operator, state: Literal["on", "off"], body: EventsSwitch, key: IdempotencyKey = None
    ) -> Done:
        return await actions.switch_events(body.pattern, body.endpoint, state == "on", who(actor, body, key))


def _add_parked(router: APIRouter, actions: Actions) -> None:
    @router.post("/parked/redrive", summary="Send parked events again")
    async def redrive(actor: Operator, body: Redrive, key: IdempotencyKey = None) -> Done:
        if bool(body.addresses) == (body.filter is not None):
            raise Problem(422, "give either addresses or a filter")
        by = who(actor, body, key)
        if body.filter is not None:
            return await actions.redrive_all(body.filter.query(), by)
        return await actions.redrive(body.addresses, by)

    @router.post("/parked/discard", summary="Mark parked events as never to be sent")
    async def discard(actor: Operator, body: Discard, key: IdempotencyKey = None) -> Done:
        return await actions.discard(body.addresses, who(actor, body, key))


def _add_resends(router: APIRouter, actions: Actions) -> None:
    @router.post("/attempts/{attempt_id}/resend", summary="Send the event of an attempt again")
    async def resend(actor: Operator, attempt_id: str, body: Resend, key: IdempotencyKey = None) -> Done:
        return await actions.resend(attempt_id, who(actor, body, key), render=body.render, new_id=body.new_id)

    @router.post("/resends", summary="Start a bulk re-send, or count it with dry_run")
    async def resend_all(actor: Operator, body: ResendAll, key: IdempotencyKey = None) -> Done:
        query = body.filter.query()
        if body.dry_run:
            number = await actions.count(query)
            return Done(f"{number} events would be sent again; nothing was done", number)
        return await actions.resend_all(
            query, who(actor, body, key), render=body.render, new_id=body.new_id, rate_per_s=body.rate_per_s
        )

    @router.post("/replays", summary="Start a replay of the log to an endpoint")
    async def replay(actor: Operator, body: Replay, key: IdempotencyKey = None) -> Done:
        return await actions.replay(body.request(), who(actor, body, key))


def _add_jobs(router: APIRouter, actions: Actions) -> None:
    @router.post("/jobs/{job_id}/{change}", summary="Pause, resume or cancel a job")
    async def change_job(
        actor: Operator,
        job_id: str,
        change: Literal["pause", "resume", "cancel"],
        body: Reason,
        key: IdempotencyKey = None,
    ) -> Done:
        act = {"pause": actions.pause_job, "resume": actions.resume_job, "cancel": actions.cancel_job}
        return await act[change](job_id, who(actor, body, key))
