"""Metrics of the process and of its place in the group.

Invariant: names follow the conventions of Prometheus: base units, and ``_total`` at the end of a counter.
"""

from __future__ import annotations

import platform
from typing import Final

from bridge import __version__
from bridge.telemetry.metric_table.spec import ENDPOINT, MetricSpec

TABLE: Final = (
    MetricSpec(
        "hookferry_commits_total",
        "counter",
        "Commits of the cursors to Kafka",
        "If `failed` grows: after a restart, events since the last commit are sent again.",
        {"outcome": "done, failed"},
        {"outcome": ("done", "failed")},
    ),
    MetricSpec(
        "hookferry_commit_seconds",
        "histogram",
        "Seconds that a commit took, with the history written before it; failed ones too",
        "If it approaches `commit_interval_s`: the brokers are slow, and a crash repeats more.",
    ),
    MetricSpec(
        "hookferry_rebalance_seconds",
        "histogram",
        "Seconds from giving up the partitions to the next assignment; `_count` is the number of rebalances",
        "If `_count` grows without a deployment: pods restart or lose their brokers. Nothing is delivered"
        " meanwhile.",
    ),
    MetricSpec(
        "hookferry_history_attempts_total",
        "counter",
        "Attempts for the topic of the history",
        "If `dropped` grows: the history has gaps; the log event `history.failed` has the reason.",
        {"outcome": "written, dropped"},
        {"outcome": ("written", "dropped")},
    ),
    MetricSpec(
        "hookferry_partitions_without_schema",
        "gauge",
        "Partitions that wait because the schema registry does not give a schema they need",
        "If it stays above 0: check the registry and its login.",
    ),
    MetricSpec(
        "hookferry_partitions_failing",
        "gauge",
        "Assigned partitions whose records the broker cannot read now",
        "If it stays above 0: these partitions deliver nothing; the log event `fetch.failed` has the reason.",
    ),
    MetricSpec(
        "hookferry_ready",
        "gauge",
        "1 while `/readyz` answers 200, otherwise 0",
        "If it is 0 for longer than a start or a rebalance: `/readyz` and the log event `readiness.changed`"
        " contain the reason.",
    ),
    MetricSpec(
        "hookferry_assigned_partitions",
        "gauge",
        "Partitions of source topics assigned to this process",
        "If it is 0 for longer than a rebalance: there are more processes than partitions, or this one is not"
        " in the group.",
    ),
    MetricSpec(
        "hookferry_memory_budget_bytes",
        "gauge",
        "Memory that waiting events may use, all endpoints together",
        "Never by itself. It is about half of `memory_budget`, less what the process uses at rest.",
    ),
    MetricSpec(
        "hookferry_memory_waiting_bytes",
        "gauge",
        "Memory that waiting events use; an event that waits for several endpoints is counted once",
        "If it stays near the budget: `hookferry_endpoint_memory_bytes` shows for which endpoints they wait.",
    ),
    MetricSpec(
        "hookferry_memory_fetched_bytes",
        "gauge",
        "Records that the Kafka clients have fetched and not passed on, an upper estimate: as compressed, and"
        " batches that are read in part as unpacked",
        "Never by itself.",
    ),
    MetricSpec(
        "hookferry_memory_resident_bytes",
        "gauge",
        "Resident memory of the process",
        "If it is above nine tenths of the container's limit: lower `memory_budget`, or raise the limit.",
    ),
    MetricSpec(
        "hookferry_endpoint_memory_bytes",
        "gauge",
        "Memory of the events that wait for an endpoint, including those that wait for others as well",
        "If it stays high for an endpoint that delivers: it is slower than its events arrive.",
        ENDPOINT,
    ),
    MetricSpec(
        "hookferry_event_loop_lag_seconds",
        "histogram",
        "How late a timer of the process runs, measured four times a second",
        "If many are above 0.1: the process has too little CPU, or something in it computes for too long."
        " With `log.level: debug`, the log event `loop.stalled` names it.",
    ),
    MetricSpec(
        "hookferry_gc_pause_seconds",
        "histogram",
        "Seconds that each garbage collection took: nothing else runs meanwhile",
        "If pauses above 0.05 are frequent: very many events wait. `hookferry_unsettled_events` shows for"
        " which endpoints.",
    ),
    MetricSpec(
        "hookferry_trace_spans_total",
        "counter",
        "Spans for the collector of `tracing.endpoint`",
        "If `dropped` grows: traces have gaps. The log event `tracing.failed` has the reason, or the queue"
        " is full.",
        {"outcome": "exported, dropped"},
        {"outcome": ("exported", "dropped")},
    ),
    MetricSpec(
        "hookferry_config_reloads_total",
        "counter",
        "Times that the configuration was read again, by what came of it",
        "If `refused` grows: the file has mistakes, or changes what needs a restart; `/readyz` and the log"
        " event `config.refused` name it. A process that starts with this file would fail.",
        {"outcome": "taken_over, unchanged, refused, failed (the broker did not answer; it is tried again)"},
        {"outcome": ("taken_over", "unchanged", "refused", "failed")},
    ),
    MetricSpec(
        "hookferry_config_last_reload_success_timestamp_seconds",
        "gauge",
        "Unix time at which the configuration came into force: at the start, or by a reload",
        "If it is older than the last change of the file: the change was not taken over.",
    ),
    MetricSpec(
        "hookferry_config_info",
        "gauge",
        "1, with the hash of the configuration in force",
        "If processes of one group have different hashes for longer than a rollout: one did not take over a"
        " change. The hash leaves out secrets.",
        {"hash": "the first twelve digits of the hash; empty until it is known"},
        {"hash": ("",)},
    ),
    MetricSpec(
        "hookferry_build_info",
        "gauge",
        "Always 1; the labels have the version of Hookferry and of Python",
        "If the pods of a group differ for longer than a rollout.",
        {"version": "of Hookferry", "python": "of Python"},
        {"version": (__version__,), "python": (platform.python_version(),)},
    ),
    MetricSpec(
        "process_start_time_seconds",
        "gauge",
        "Start of the process, in seconds since 1970 (Linux only, as all `process_` metrics)",
        "If it changes without a deployment: the process was restarted.",
    ),
    MetricSpec(
        "process_cpu_seconds_total",
        "counter",
        "CPU time of the process",
        "If its rate stays near 1: the process uses a whole core, and more pods would deliver more.",
    ),
    MetricSpec(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory of the process, as `hookferry_memory_resident_bytes`",
        "As for `hookferry_memory_resident_bytes`.",
    ),
    MetricSpec("process_virtual_memory_bytes", "gauge", "Virtual memory of the process", "Never by itself."),
    MetricSpec(
        "process_open_fds",
        "gauge",
        "Open file descriptors of the process",
        "If it approaches `process_max_fds`: raise the limit, or lower `concurrency` of endpoints.",
    ),
    MetricSpec("process_max_fds", "gauge", "Limit of open file descriptors", "Never by itself."),
)
