"""The tables of docs/configuration.md, made from the settings classes."""

from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from actors.consumer_settings import ConsumerSettings, JanitorSettings
from actors.notifications.settings import NotificationSettings
from actors.payment_settings import PaymentSettings
from actors.runtime.settings import RuntimeSettings
from cluster.settings import ClusterSettings
from persistence.settings import StoreSettings
from serve.settings import ServeSettings

TABLES: dict[str, type[BaseModel]] = {
    "serve": ServeSettings,
    "stores": StoreSettings,
    "cluster": ClusterSettings,
    "runtime": RuntimeSettings,
    "consumers": ConsumerSettings,
    "janitor": JanitorSettings,
    "payments": PaymentSettings,
    "notifications": NotificationSettings,
}

MEANINGS = {
    "STAMPEDE_CLUSTER_ASK_TIMEOUT_MS": "Deadline of a command whose caller names none.",
    "STAMPEDE_CLUSTER_CLOCK_SAMPLE_INTERVAL_MS": "How often each process asks the cluster's database for the time.",
    "STAMPEDE_CLUSTER_CLOCK_SAMPLE_TIMEOUT_MS": "A question without an answer is dropped and asked again.",
    "STAMPEDE_CLUSTER_EXCHANGE_BYTES_MAX": "Bytes of one exchange, each way.",
    "STAMPEDE_CLUSTER_EXCHANGE_ENVELOPES_MAX": "Envelopes of one exchange, each way.",
    "STAMPEDE_CLUSTER_EXCHANGE_PARK_MS": "How long a host keeps an exchange that has no reply ready.",
    "STAMPEDE_CLUSTER_EXCHANGE_SESSION_IDLE_MS": "A host forgets a client's session unused this long.",
    "STAMPEDE_CLUSTER_LEASE_RENEW_INTERVAL_MS": "How often a host renews its lease.",
    "STAMPEDE_CLUSTER_LEASE_TTL_MS": "How long a lease lives after a renewal.",
    "STAMPEDE_CLUSTER_RECOVERY_RETRY_MS": "Pause before a claim, a join or a preparation that failed is tried again.",
    "STAMPEDE_CLUSTER_RESEND_BACKOFF_MAX_MS": "Longest pause before an envelope is sent again.",
    "STAMPEDE_CLUSTER_RESEND_BACKOFF_MIN_MS": "First pause before an envelope is sent again; it doubles.",
    "STAMPEDE_CLUSTER_ROUTE_REFRESH_SPACING_MS": "Least distance of two reads of the table by one region.",
    "STAMPEDE_CLUSTER_SUPERVISE_INTERVAL_MS": "How often the supervisor looks for missing and dead hosts.",
    "STAMPEDE_RUNTIME_APPEND_BACKOFF_MAX_MS": "Longest pause before an unreachable store is tried again.",
    "STAMPEDE_RUNTIME_APPEND_BACKOFF_MIN_MS": "First pause before an unreachable store is tried again; it doubles.",
    "STAMPEDE_RUNTIME_APPEND_BYTES_MAX": "Bytes of one append, about.",
    "STAMPEDE_RUNTIME_APPEND_EVENTS_MAX": "Events of one append.",
    "STAMPEDE_RUNTIME_ASK_TIMEOUT_MS": "Deadline of a saga's command to another entity.",
    "STAMPEDE_RUNTIME_DRAIN_SETTLE_MS": "How long a shard that moves lets commands, then writes, then snapshots finish.",
    "STAMPEDE_RUNTIME_GATEWAY_TIMEOUT_MS": "Time the payment gateway has for one answer.",
    "STAMPEDE_RUNTIME_LOAD_RETRY_BUDGET_MS": "How long the read of an entity is tried.",
    "STAMPEDE_RUNTIME_PASSIVATE_IDLE_MS": "An entity idle this long leaves memory.",
    "STAMPEDE_RUNTIME_RECOVERY_RETRY_MS": "Pause before a read that failed is tried again.",
    "STAMPEDE_RUNTIME_SAGA_RETRY_MAX_MS": "Longest pause before an unfinished saga goes on.",
    "STAMPEDE_RUNTIME_SAGA_RETRY_MIN_MS": "First pause before an unfinished saga goes on; it doubles.",
    "STAMPEDE_RUNTIME_SCAN_PAGE_EVENTS": "Events of one page when a journal is read.",
    "STAMPEDE_RUNTIME_SNAPSHOT_EVERY_EVENTS": "Events of a shard after which every SKU that changed gets a snapshot.",
    "STAMPEDE_RUNTIME_SNAPSHOT_ROWS_MAX": "Snapshots of one statement.",
    "STAMPEDE_RUNTIME_WAKE_GRANULARITY_MS": "How often deadlines and due times are looked at.",
}
"""What a class leaves to the name of its setting."""


def markdown(name: str) -> str:
    """One table: variable, default, allowed, meaning."""
    lines = ["| variable | default | allowed | meaning |", "|---|---|---|---|"]
    for variable, field in variables(name):
        meaning = (field.description or MEANINGS.get(variable, "")).rstrip(".")
        lines.append(f"| `{variable}` | {_default(field)} | {_allowed(field)} | {meaning[:1].upper()}{meaning[1:]} |")
    return "\n".join(lines)


def variables(name: str) -> list[tuple[str, FieldInfo]]:
    """The environment's names of a class's settings."""
    settings = TABLES[name]
    prefix = str(settings.model_config.get("env_prefix", ""))
    return [
        (field.validation_alias if isinstance(field.validation_alias, str) else (prefix + attribute).upper(), field)
        for attribute, field in settings.model_fields.items()
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default in (..., PydanticUndefined):
        return "" if field.default_factory is not None else "required"
    if field.default in (None, ()):
        return ""
    return f"`{_written(field.default)}`"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _allowed(field: FieldInfo) -> str:
    bounds = []
    for rule in field.metadata:
        match rule:
            case Ge(ge=bound):
                bounds.append(f"≥ {bound:,}")
            case Gt(gt=bound):
                bounds.append(f"> {bound:,}")
            case Le(le=bound):
                bounds.append(f"≤ {bound:,}")
            case Lt(lt=bound):
                bounds.append(f"< {bound:,}")
    return ", ".join(bounds)
