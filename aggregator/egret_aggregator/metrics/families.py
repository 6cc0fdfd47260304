"""Every family that `/metrics` may show. Names, once published, stay. Pure."""

from __future__ import annotations

from typing import NamedTuple

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"


class Family(NamedTuple):
    """One family: its name, its kind, the names of its labels, and what it says."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def _gauge(name: str, says: str, *labels: str) -> Family:
    return Family(name, GAUGE, labels, says)


def _counter(name: str, says: str, *labels: str) -> Family:
    return Family(name, COUNTER, labels, says)


def _histogram(name: str, says: str, *labels: str) -> Family:
    return Family(name, HISTOGRAM, labels, says)


_BROKER = (
    _gauge("egret_broker_up", "1 while the embedded broker runs; not shown with a foreign one"),
    _counter("egret_broker_restarts_total", "Starts of the embedded broker after it died"),
)

_INTAKE = (
    _gauge("egret_intake_connected", "1 while connected to the broker and subscribed"),
    _counter("egret_intake_connections_total", "Connections to the broker that it granted"),
    _gauge("egret_intake_inbox_bytes", "Bytes that arrived and are not committed yet"),
    _gauge("egret_intake_inbox_max_bytes", "Bytes the inbox may hold before it drops"),
    _counter("egret_intake_dropped_total", "Messages dropped by a full inbox; gateways resend"),
    _counter("egret_intake_strange_total", "Messages on a topic that is none of ours"),
    _counter("egret_intake_batches_total", "Batches by what became of them", "verdict"),
    _counter("egret_intake_refused_total", "Batches that can never be taken", "reason"),
    _counter("egret_intake_acks_total", "Acks handed to the broker"),
    _counter("egret_intake_acks_unheard_total", "Acks that did not go out; gateways resend"),
    _gauge("egret_intake_taking", "1 for what gateways are told that is taken", "what"),
    _histogram("egret_intake_commit_seconds", "From receipt of a batch to its durable commit"),
    _counter("egret_antientropy_asked_total", "Commands that asked gateways for missing batches"),
    _gauge("egret_antientropy_open", "Gateways that hold batches the centre asks for"),
)

_JOURNAL = (
    _gauge("egret_journal_used_bytes", "Bytes in use"),
    _gauge("egret_journal_max_bytes", "Bytes allowed, by its setting or by the disk"),
    _gauge("egret_journal_fill_ratio", "Used share, 0 to 1"),
    _gauge("egret_journal_mark_ratio", "Shares at which it says so, and takes only fresh", "mark"),
    _gauge("egret_journal_level", "1 for the step reached", "level"),
    _gauge("egret_journal_head", "Newest entry's id"),
    _counter("egret_journal_commits_total", "Commits"),
    _counter("egret_journal_commit_failures_total", "Commits that failed: nothing acknowledged"),
    _gauge("egret_consumer_lag_entries", "Entries a consumer has still to take", "consumer"),
    _gauge("egret_consumer_lag_seconds", "Age of the oldest entry it has not taken", "consumer"),
)

_RECORDER = (
    _gauge("egret_recorder_position", "Newest entry in the store"),
    _counter("egret_recorder_readings_total", "Readings stored"),
    _counter("egret_recorder_set_aside_total", "Things kept that are no reading of a series"),
    _counter("egret_recorder_asides_total", "The same by reason", "reason"),
    _counter("egret_recorder_conflicts_total", "Second values of an identity; the first stayed"),
    _counter("egret_recorder_failures_total", "Writes the store refused; they are tried again"),
    _gauge("egret_recorder_failing", "1 while the store refuses what is written"),
    _gauge("egret_recording_current", "1 while the series are no older than a minute"),
    _gauge("egret_recording_age_seconds", "Age of the newest entry in the store"),
    _gauge("egret_store_up", "1 where the store said within 2 s how it is"),
    _gauge("egret_store_used_bytes", "Bytes of the store, where it knows them"),
    _gauge("egret_store_asides", "Things set aside that are kept"),
    _counter("egret_store_asides_dropped_total", "Oldest of them that gave way to their limit"),
    _counter("egret_roller_buckets_total", "Ten-minute buckets made or made anew"),
    _gauge("egret_roller_marks", "Ten-minute buckets that changed and are not made yet"),
    _counter("egret_roller_failures_total", "Rollings that failed; they are tried again"),
)

_JUDGE = (
    _gauge("egret_judge_position", "Newest entry judged and recorded"),
    _counter("egret_judge_readings_total", "Readings judged"),
    _counter("egret_judge_events_total", "Condition events recorded"),
    _counter("egret_judge_unreadable_total", "Entries or changes that could not be read"),
    _counter("egret_judge_late_total", "Readings later than their channel allows"),
    _counter("egret_judge_ahead_total", "Readings dated more than 60 s ahead of their receipt"),
    _counter("egret_judge_unknown_total", "Readings of channels the catalogue does not name"),
    _counter("egret_judge_foreign_total", "Readings from a gateway that does not own the channel"),
    _counter("egret_judge_warm_channels_total", "Channels whose new rules got their history"),
    _counter("egret_judge_cold_channels_total", "Channels whose history could not be read"),
    _gauge("egret_judge_missing_inputs", "Inputs of rules over rules that have fallen silent"),
    _counter("egret_judge_looked_back_total", "Gaps whose late readings were judged"),
    _counter("egret_judge_look_back_failed_total", "Gaps to be looked at again: no store"),
    _gauge("egret_judge_capped_channels", "Channels whose cut is longer than judgement waits for"),
    _gauge(
        "egret_judge_rules_standing",
        "Pairs of rule and channel by what the rule can say now: only ok is a judgement",
        "standing",
    ),
    _gauge("egret_judge_misfit_channels", "Channels whose unit or datum does not fit their rules"),
    _counter(
        "egret_judge_screened_total",
        "Values that the centre's screening doubts or fails, by reason",
        *("reason", "flag"),
    ),
    _gauge("egret_judgement_current", "1 while what is shown is judged and no minute old"),
    _gauge("egret_judgement_age_seconds", "Age of the newest entry judged"),
)

_WARNINGS = (
    _gauge("egret_warnings", "Warnings that are not closed", "state", "level"),
    _gauge("egret_database_up", "1 while ledger and accounts answer, within 2 s"),
    _gauge("egret_ledger_head", "Newest line of the ledger"),
    _histogram(
        "egret_warning_push_seconds",
        "From the reading's time to the event leaving the hub, of rising events",
        "phase",
    ),
    _gauge("egret_stream_clients", "Clients of the live stream"),
    _gauge("egret_stream_waiting_events", "Events in all mailboxes"),
    _gauge("egret_stream_waiting_events_max", "Events in the fullest mailbox"),
    _counter("egret_stream_overflows_total", "Clients cut off because they did not read"),
)

_FLEET = (
    _gauge("egret_gateways", "Gateways that ever spoke"),
    _gauge("egret_gateways_online", "Gateways that say so and were heard in 10 minutes"),
    _gauge("egret_gateways_cloned", "Gateways whose id another box uses too"),
    _gauge("egret_gateways_missing_batches", "Batches that outboxes hold and the centre lacks"),
    _gauge(
        "egret_gateways_outbox_age_max_seconds",
        "Oldest unsettled batch of all outboxes, each at its last status",
    ),
    _gauge(
        "egret_gateways_silence_max_seconds",
        "Longest time without a word of a gateway that the catalogue names",
    ),
    _gauge("egret_gateways_unheard", "Gateways that the catalogue names and that never spoke"),
    _gauge("egret_gateways_unlisted", "Gateways beyond those shown one by one"),
    _gauge("egret_gateway_online", "1 where it says so and was heard in 10 minutes", "gateway"),
    _gauge("egret_gateway_silence_seconds", "Time since its last word", "gateway"),
    _gauge("egret_gateway_outbox_bytes", "Bytes of its outbox, at its last status", "gateway"),
    _gauge("egret_gateway_outbox_batches", "Unsettled batches, at its last status", "gateway"),
    _gauge(
        "egret_gateway_outbox_age_seconds",
        "Age of its oldest unsettled batch, at its last status",
        "gateway",
    ),
    _gauge("egret_gateway_missing_batches", "Batches it holds and the centre lacks", "gateway"),
)

FAMILIES: tuple[Family, ...] = (
    *(*_BROKER, *_INTAKE, *_JOURNAL, *_RECORDER),
    *(*_JUDGE, *_WARNINGS, *_FLEET),
)
