"""The routes that read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastapi import APIRouter

from bridge.console.api.problems import Problem
from bridge.console.api.requests import Attempts, Cursor, Limit, Parked, Reader
from bridge.console.event_views import AttemptDetail, AttemptRow, EventTimeline, ParkedDetail, ParkedRow
from bridge.console.ports import Reads
from bridge.console.query import Page
from bridge.console.state_views import (
    ChangeRow,
    ConfigView,
    EndpointState,
    JobRow,
    Overview,
    SchemaRow,
    SwitchRow,
)

T = TypeVar("T")


def _found(value: T | None, what: str) -> T:
    if value is None:
        raise Problem(404, f"there is no {what}, or the retention has deleted it")
    return value


def reading_routes(reads: Reads) -> APIRouter:
    """Return the routes that read."""
    router = APIRouter(tags=["read"])
    _add_attempts(router, reads)
    _add_states(router, reads)
    return router


def _add_attempts(router: APIRouter, reads: Reads) -> None:
    @router.get("/attempts", summary="List attempts, newest first")
    async def attempts(
        _: Reader, query: Attempts, cursor: Cursor = None, limit: Limit = 50, newer: bool = False
    ) -> Page[AttemptRow]:
        """List attempts, newest first. With ``newer``, those stored after the cursor, oldest first.

        A search for text may return fewer rows than there are, and a cursor to go on with.
        """
        return await reads.attempts(query, cursor, limit, newer=newer)

    @router.get("/attempts/{attempt_id}", summary="Show an attempt with its request and answer")
    async def attempt(_: Reader, attempt_id: str) -> AttemptDetail:
        return _found(await reads.attempt(attempt_id), f"attempt {attempt_id[:60]!r}")

    @router.get("/events/{event_id:path}", summary="Show all attempts of an event")
    async def event(_: Reader, event_id: str) -> EventTimeline:
        return _found(await reads.event(event_id), f"event {event_id[:200]!r}")

    @router.get("/parked", summary="List parked events, newest first")
    async def parked(_: Reader, query: Parked, cursor: Cursor = None, limit: Limit = 50) -> Page[ParkedRow]:
        return await reads.parked(query, cursor, limit)

    @router.get("/parked/{address}", summary="Show a parked event with its value")
    async def parked_one(_: Reader, address: str) -> ParkedDetail:
        return _found(await reads.parked_one(address), f"parked event {address[:60]!r}")


def _add_states(router: APIRouter, reads: Reads) -> None:
    @router.get("/overview", summary="Show the state of everything")
    async def overview(_: Reader) -> Overview:
        return await reads.overview()

    @router.get("/endpoints", summary="List the endpoints with state, lag and rates")
    async def endpoints(_: Reader) -> Sequence[EndpointState]:
        return await reads.endpoints()

    @router.get("/endpoints/{name}", summary="Show one endpoint")
    async def endpoint(_: Reader, name: str) -> EndpointState:
        return _found(await reads.endpoint(name), f"endpoint {name[:63]!r}")

    @router.get("/jobs", summary="List bulk re-sends and replays, newest first")
    async def jobs(_: Reader) -> Sequence[JobRow]:
        return await reads.jobs()

    @router.get("/jobs/{job_id}", summary="Show one job")
    async def job(_: Reader, job_id: str) -> JobRow:
        return _found(await reads.job(job_id), f"job {job_id[:60]!r}")

    @router.get("/switches", summary="List the switches of endpoints and event types")
    async def switches(_: Reader) -> Sequence[SwitchRow]:
        return await reads.switches()

    @router.get("/schemas", summary="List the schemas of the sources")
    async def schemas(_: Reader) -> Sequence[SchemaRow]:
        return await reads.schemas()

    @router.get("/config", summary="Show the configuration in force, without secrets")
    async def config(_: Reader) -> ConfigView:
        return await reads.config()

    @router.get("/audit", summary="List who changed what, newest first")
    async def audit(_: Reader, cursor: Cursor = None, limit: Limit = 50) -> Page[ChangeRow]:
        return await reads.changes(cursor, limit)
