"""The console as one process or part of one: followers, store, API, from its settings to its end.

Invariant: a console changes nothing at the bridges by itself. It can be stopped, killed and deleted at any
time.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from bridge.console.access import Logins
from bridge.console.actions import StoreActions
from bridge.console.api.app import build_web
from bridge.console.config_view import ConfigFile
from bridge.console.follower import Intake, TopicFollower, TopicRecreated
from bridge.console.intakes import AttemptsIntake, ControlIntake, ParkedIntake
from bridge.console.job_runner import JobRunner
from bridge.console.lags import LagWatch
from bridge.console.oidc import OidcProvider
from bridge.console.oidc_login import OidcLogin
from bridge.console.ports import Actions, Reads
from bridge.console.reads import StoreReads
from bridge.console.retention import Retention
from bridge.console.store.control import ControlQueries
from bridge.console.store.database import Database
from bridge.console.store.open import claim, open_database
from bridge.console.web_server import build_server, listen
from bridge.core.switches import EventTypes, Switches
from bridge.core.web_access import WebAccess
from bridge.kafka.client import start_when_reachable
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import TopicAdmin
from bridge.settings import Settings
from bridge.telemetry import events
from bridge.wiring.backlog import build_decoding
from bridge.wiring.kafka import attempts_topic, build_kafka_options, control_topic, parked_topic
from bridge.wiring.oidc import build_oidc_transport
from bridge.wiring.resend import build_resending

_log = structlog.get_logger()
_RECORDS = 200
"""Records of one read: 50 MB of attempts at most, and one transaction."""
_NO_LOGIN = "none: everyone on this machine may change everything"
BuildPages = Callable[[str, Reads, Actions, Logins], ASGIApp]


class Console:
    """One console. ``pages`` builds what it serves besides the API."""

    def __init__(self, settings: Settings, config: Path, pages: BuildPages | None = None) -> None:
        """Check the login. Raises ``ConfigError``."""
        self._settings = settings
        self._config = config
        self._pages = pages
        self._options = build_kafka_options(settings.kafka)
        oidc = settings.console.oidc
        self.provider = oidc and OidcProvider(oidc, build_oidc_transport(oidc.ca_file))
        login = OidcLogin(oidc, self.provider) if oidc and self.provider and oidc.client_id else None
        self.logins = Logins(settings.console, self.provider.actor if self.provider else None, login)
        self._followers: list[TopicFollower] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set. Raises ``ConfigError``, ``StoreUnavailable``."""
        settings = self._settings.console
        async with AsyncExitStack() as stack:
            port = listen(settings.host, settings.port)
            stack.callback(port.close)
            database = await open_database(settings)
            stack.push_async_callback(database.close)
            admin = TopicAdmin(self._options)
            stack.push_async_callback(admin.close)
            control = ControlQueries(database)

            async def event_types() -> Switches[EventTypes]:
                return (await control.states())[1]

            decoding = build_decoding(self._config, os.environ, _note)
            lags = LagWatch(self._settings, decoding, event_types, control.all_jobs)
            self._followers = self._build_followers(database, admin)
            reads = StoreReads(
                self._settings, database, lags, self._followers, ConfigFile(self._config, self._settings)
            )
            resending = build_resending(self._settings)
            runner = JobRunner(control, resending)
            actions = StoreActions(self._settings, database, resending, runner.carry_out)
            server = build_server(self._build_web(reads, actions))
            address = f"http://{settings.host}:{port.getsockname()[1]}"
            login = _NO_LOGIN if self.logins.anonymous else "required"
            _log.info(events.CONSOLE_STARTED, address=address, login=login)
            await _run_until(
                stop, server, server.serve(sockets=[port]), self._follow(database, admin, lags, runner)
            )
            _log.info(events.CONSOLE_STOPPED)

    def _build_web(self, reads: Reads, actions: Actions) -> ASGIApp:
        settings, group = self._settings.console, self._settings.group
        access = WebAccess([*settings.hosts, settings.host, socket.gethostname()], "console.hosts")
        pages = None if self._pages is None else self._pages(group, reads, actions, self.logins)
        return build_web(reads, actions, self.logins, access, self.readiness, pages)

    def readiness(self) -> tuple[bool, str]:
        """Return True if all topics were read to their end once, and a line for a person."""
        late = [follower.topic for follower in self._followers if not follower.is_caught_up]
        errors = [follower.error for follower in self._followers if follower.error]
        if late or not self._followers:
            return False, f"reading {', '.join(late)}{f': {errors[0]}' if errors else ''}"
        return True, f"ready{f', but: {errors[0]}' if errors else ''}"

    def _build_followers(self, database: Database, admin: TopicAdmin) -> list[TopicFollower]:
        intakes: dict[str, Intake] = {
            attempts_topic(self._settings): AttemptsIntake(database),
            parked_topic(self._settings): ParkedIntake(),
            control_topic(self._settings.group): ControlIntake(database),
        }
        return [
            TopicFollower(topic, intake, database, admin, self._open_reader)
            for topic, intake in intakes.items()
        ]

    def _open_reader(self) -> SideReader:
        return SideReader(self._options, max_batch=_RECORDS)

    async def _follow(self, database: Database, admin: TopicAdmin, lags: LagWatch, runner: JobRunner) -> None:
        """Follow all topics until it is cancelled; begin again with an empty store if it is another's."""
        await start_when_reachable(admin.start, self._options.bootstrap_servers)
        owner = f"{self._settings.group} at {await admin.cluster_id()}"
        await claim(database, owner)
        retention = Retention(database, self._settings.console)
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for follower in self._followers:
                        tasks.create_task(follower.run(), name=f"follow {follower.topic}")
                    tasks.create_task(lags.run(), name="lags")
                    tasks.create_task(runner.run(), name="jobs")
                    tasks.create_task(retention.run(), name="retention")
            except* TopicRecreated as group:
                _log.warning(
                    events.CONSOLE_REBUILT,
                    cause=str(group.exceptions[0]),
                    remedy="none needed: the store is rebuilt from the topics",
                )
                await database.reset()
                await claim(database, owner)


def _note(line: str) -> None:
    _log.warning(events.CONSOLE_FAILED, topic="(cursors)", cause=line, remedy="set it for this process, too")


async def _run_until(
    stop: asyncio.Event,
    server: uvicorn.Server,
    serve: Coroutine[Any, Any, None],
    follow: Coroutine[Any, Any, None],
) -> None:
    """Serve and follow until ``stop`` is set or one of them ends; raise what ended it."""
    serving = asyncio.create_task(serve, name="console")
    following = asyncio.create_task(follow, name="followers")
    stopping = asyncio.create_task(stop.wait(), name="stop of the console")
    tasks = (serving, following, stopping)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        following.cancel()
        stopping.cancel()
        await asyncio.wait(tasks)
    for task in (following, serving):
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
