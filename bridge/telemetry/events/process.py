"""Log events of the process, of its files in ``state_dir``, and of the history."""

from __future__ import annotations

from typing import Final

BRIDGE_STARTED: Final = "bridge.started"
"""The process has joined its consumer group and delivers from now on.

Worry if it repeats without a deployment: the process is being restarted."""

BRIDGE_STOPPING: Final = "bridge.stopping"
"""The process received a stop signal. It stops reading and finishes the requests in flight.

Never by itself."""

BRIDGE_DRAINED: Final = "bridge.drained"
"""The drain has ended, on shutdown or because the group is rebalancing.

Worry at level warning: `unfinished` requests had no answer at the deadline and are sent again. If that is
frequent, raise `drain_timeout_s` or look for a slow endpoint."""

BRIDGE_ABANDONED: Final = "bridge.abandoned"
"""The process did not end in time after the drain's deadline, so it ended itself with `exit_code`.

Always: this is a bug. Report it with the `task.seen` lines above it. No event is lost; what was not
committed is delivered again."""

CONFIG_TAKEN_OVER: Final = "config.taken_over"
"""A changed configuration is in force, without a restart. `added`, `removed` and `changed` are endpoints,
`others` further settings; `hash` identifies the configuration.

Never by itself."""

CONFIG_REFUSED: Final = "config.refused"
"""A changed configuration was not taken over, and the one before stays in force. `problems` has each mistake,
or each setting that needs a restart.

Always: a later start of the process would fail, or work with other settings. Correct the file, or restart."""

CONFIG_FAILED: Final = "config.failed"
"""A changed configuration is valid, but could not be taken over yet (`cause`). The one before stays in force,
and the bridge tries again.

Worry if it repeats: the broker does not answer."""

CONFIG_FAILED_INSIDE: Final = "config.failed_inside"
"""An internal error ended a reload; the line has the traceback.

Always: this is a bug, report it. Deliveries go on."""

CONFIG_UNCHANGED: Final = "config.unchanged"
"""The configuration was read again, and it is the one that is in force.

Never by itself."""

ENDPOINT_LEFT_WORK: Final = "endpoint.left_work"
"""An endpoint was removed, and requests in flight did not end within `drain_timeout_s`, or their last commit
failed. They are sent again if the endpoint is configured again.

Worry if the endpoint returns and its receiver does not drop repeated webhook ids."""

CONSOLE_LAUNCHED: Final = "console.launched"
"""`run --console` started the console as a process of its own.

Worry if it repeats: the console ends again and again. Deliveries are not affected."""

CONSOLE_ENDED: Final = "console.ended"
"""The console that `run --console` started has ended, with `exit_code`. It is started again after
`restart_in_s` seconds; without that number it is not, because its configuration has a mistake.

Worry at level error, or if it repeats: the lines of the console above it contain the cause. Deliveries are
not affected, and the console reads what it missed."""

SIGNAL_IGNORED: Final = "signal.ignored"
"""The process received `SIGHUP` and goes on unchanged, because `reload` is off.

Never by itself. If you wanted to apply a changed configuration, restart the process."""

LOG_LOST: Final = "log.lost"
"""Log lines could not be written, and `lines` of them are lost. This is the first line written since.

Always: the disk is full or the program that reads the log has stopped. Deliveries were not affected."""

LOOP_STALLED: Final = "loop.stalled"
"""The event loop stood still for `late_ms`, and so did every delivery. Written at level debug. `busy_in` has
the calls that it was in, the innermost last. `gc_ms` is the time of garbage collections in it. If `cpu_ms` is
much less than `late_ms`, the process had no CPU, or it waited for a disk.

Worry if it is frequent: every delivery is delayed by as much. The metric `hookferry_event_loop_lag_seconds`
counts stalls at any level."""

REPORT_FAILED: Final = "report.failed"
"""The report of this process could not be written to `<group>.control`. Written at most once per minute.

Worry if a console shows the process as gone. Deliveries are not affected."""

REPORT_RECOVERED: Final = "report.recovered"
"""The report of this process is in `<group>.control` again.

Never by itself: it ends `report.failed`."""

WATCH_FAILED: Final = "watch.failed"
"""A task that only observes the process (backlogs, reports, the event loop) ended with an error. It begins
again after a minute.

Always: this is a bug. Report it with the traceback. Deliveries are not affected."""

TRACING_FAILED: Final = "tracing.failed"
"""The collector of `tracing.endpoint` did not accept spans, and they are dropped. Written at most once per
minute.

Worry if traces are needed: check the address, the login and the collector. Deliveries are not affected."""

TRACING_RECOVERED: Final = "tracing.recovered"
"""The collector accepts spans again.

Never by itself: it ends `tracing.failed`."""

TASK_SEEN: Final = "task.seen"
"""A task of the process and the calls it waits in: written for each task on `SIGUSR1`, and before
`bridge.abandoned`.

Never by itself. It is the material for a bug report about a process that hangs."""

TASK_LEFT: Final = "task.left"
"""A Kafka client did not close in time, not even after it was cancelled, or closing it failed. It is left to
end with the process.

Worry if it is frequent: a broker accepts connections but does not answer."""

ADMIN_LIMITED: Final = "admin.limited"
"""A client of the admin port exceeded a limit (`reason`): its connection was closed, or the one that had
waited longest without a request. Written at most once per minute and limit.

Worry if it repeats: a program opens connections to the admin port and does not use them. Restrict who reaches
the port. Deliveries are not affected, because the port has only its own share of descriptors."""

ADMIN_REFUSED: Final = "admin.refused"
"""The admin port refused a request, because it named an unknown host or came from a web page of another site.
Written at most once per minute and kind.

Worry if a probe or Prometheus is refused: add the name by which it reaches the port to `admin.hosts`."""

ADMIN_CERTIFICATE_KEPT: Final = "admin.certificate_kept"
"""The certificate files of the admin port have changed and cannot be loaded. The old certificate stays in
use.

Worry if it repeats: correct `admin.tls.cert_file` and `admin.tls.key_file` before the old one expires."""

MEMORY_PLANNED: Final = "memory.planned"
"""The memory that the process may use beyond what it uses at rest (`budget_bytes`): `waiting_bytes` of it for
waiting events, `fetched_bytes` for fetched records, and `history_bytes` for attempts that the history topic
does not have yet. `limit_source` is the place of the limit.

Worry if `limit_bytes` is not the memory limit that you set: set `memory_budget` to a size then."""

MEMORY_LIMIT_LOW: Final = "memory.limit_low"
"""The memory limit leaves too little beyond what the process uses at rest. It works with the least budget.

Always: the process may be killed for memory. Raise its limit."""

MEMORY_SHORT: Final = "memory.short"
"""Reading for these `endpoints` pauses, because their waiting events use up their share of the memory budget.
Written at most once per minute.

Not for an endpoint that is down: its events wait in Kafka. For one that works, raise `memory_budget` or the
memory limit of the process, if it should be faster."""

READINESS_CHANGED: Final = "readiness.changed"
"""The process became ready or not ready, or the reason has changed: `/readyz` answers with the same words.

Worry if `ready` is false for longer than a start or a rebalance takes: `reason` names what it waits for."""

WORKERS_STARTED: Final = "workers.started"
"""The supervisor starts its `workers`, each with its part of the memory as its own `memory_budget`.

Never by itself."""

WORKER_STARTED: Final = "worker.started"
"""The supervisor has started a process of the `worker`.

Worry if it repeats for one worker: `worker.ended` has the reason."""

WORKER_ENDED: Final = "worker.ended"
"""A process of the `worker` ended by itself, or was killed, or could not be started. Another one starts in
`restart_in_s` seconds. If that is null, none does: all workers are stopping, or its configuration is wrong
and the supervisor stops them. No event is lost.

Always: follow `remedy`."""

WORKER_HUNG: Final = "worker.hung"
"""The process of a `worker` has not answered the supervisor for a minute. The supervisor kills it and starts
another one. No event is lost; requests in flight are sent again.

Always: a disk or the output of the log blocks the process, or this is a bug."""

WORKERS_IDLE: Final = "workers.idle"
"""These `workers` have no partition: the workers of all pods are more than the partitions.

Worry if it stays: an idle worker only uses memory, unless it is to take over for another one."""

WORKERS_STOPPING: Final = "workers.stopping"
"""The supervisor stops all workers: it received a stop signal, or one of them has a wrong configuration.

Never by itself."""

WORKERS_ENDED: Final = "workers.ended"
"""All workers have ended, and the supervisor ends with `exit_code`. `of_workers` has their exit codes; a
negative one is the number of a signal.

Worry at level error: the lines of the workers above have the reason."""

SUPERVISOR_LOST: Final = "supervisor.lost"
"""The supervisor of this worker has ended, as by SIGKILL. The worker finishes its requests in flight
and stops.

Always: look for what ended the supervisor, such as the kernel when memory ran out."""

INDEX_REBUILT: Final = "index.rebuilt"
"""The dedupe index of a partition was rebuilt by reading the dedupe window again from Kafka.

Worry if it repeats without new partitions or a new `state_dir`: the index is being lost."""

INDEX_FAILED: Final = "index.failed"
"""The dedupe index on disk cannot be used. It is kept in memory instead.

Always: free the disk. A later start has to read the dedupe window again from Kafka."""

INDEX_REPLACED: Final = "index.replaced"
"""The file of the dedupe index was damaged. It was replaced and is rebuilt from Kafka.

Worry if it repeats: the disk under `state_dir` is failing."""

STATE_EXPOSED: Final = "state.exposed"
"""Another user may read `path`, a file or folder with bodies or positions, and the bridge cannot change that.

Worry at level warning: follow the remedy. At level info, the folder belongs to another user, as a mounted
volume does; the files in it are readable by the bridge's user alone."""

STATE_FORGOTTEN: Final = "state.forgotten"
"""The state folder belonged to another consumer group or cluster, or to a run with another number of workers
(`cause`). Its dedupe index and journal were cleared.

Worry if neither has changed: two bridges share one `state_dir`."""

JOURNAL_FAILED: Final = "journal.failed"
"""The journal in `state_dir` cannot be written. Deliveries go on without it.

Always: free the disk or correct the path. Until then, a killed process repeats up to one commit interval of
deliveries."""

HISTORY_FAILED: Final = "history.failed"
"""The topic of the history did not accept attempts. Deliveries go on; the attempts wait in memory and are
written later. The line is written once per minute.

Worry if `history.recovered` does not follow: see `cause`. The bridge needs the right to write to it."""

HISTORY_DROPPED: Final = "history.dropped"
"""So many `attempts` will be missing in the history: the memory for those that wait was full, the process
ended before the topic accepted them, or one was too large. Deliveries were not affected. The line is written
once per minute.

Always: see `history.failed` for the cause. If there is none, the topic is too slow for the load."""

HISTORY_FAILED_INSIDE: Final = "history.failed_inside"
"""Attempts could not be written because of an unexpected exception inside the bridge. Deliveries go on.

Always: this is a bug. Report it with the exception."""

HISTORY_RECOVERED: Final = "history.recovered"
"""The topic of the history accepts attempts again.

Never."""

HISTORY_FILE_LEFT: Final = "history.file_left"
"""`state_dir` contains the history file of an older release. The bridge neither reads nor changes it.

Never by itself. It contains requests with their bodies: delete the files, or move them where you keep such
data."""

RETENTION_DIFFERS: Final = "topic.retention_differs"
"""The topic of the history exists with another retention than `history.retention_s`. The topic's applies.

Worry if the setting was changed on purpose: `remedy` has the command that changes the topic."""
