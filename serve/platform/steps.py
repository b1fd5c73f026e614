"""The parts of a real platform as steps."""
# ruff: noqa: PLC0415 -- each part is imported when its turn comes: Ray and the stores take seconds

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import ValidationError

from actors.payment_settings import PaymentSettings
from persistence.embedded import EmbeddedPostgresError
from persistence.embedded_folder import stop_leftovers
from persistence.errors import StoreError
from persistence.kafka_settings import KafkaSettings
from persistence.mongo_settings import MongoSettings
from persistence.opensearch_settings import OpenSearchSettings
from persistence.redis_settings import RedisSettings
from persistence.settings import StoreSettings
from serve.node_plan import NodePlan
from serve.platform import database
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.kafka_check import check_kafka
from serve.platform.mongo_check import prepare_mongo
from serve.platform.opensearch_check import check_opensearch
from serve.platform.redis_check import check_redis
from serve.platform.report import Report
from serve.platform.run import Step
from serve.platform.settings import read_settings
from serve.platform.state import base_url
from serve.settings import ServeSettings, setting_faults

DATA_DIR_VARIABLE = "STAMPEDE_DATA_DIR"
_READY_TIMEOUT_S = 60.0
_READY_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `up` was told."""

    data_dir: Path
    host: str
    port: int
    sample_data: bool


def platform_steps(folder: DataFolder, options: UpOptions, report: Report) -> Sequence[Step]:
    """Everything that `up` starts, in order. Sets the environment that all parts read their settings from."""
    os.environ[DATA_DIR_VARIABLE] = str(folder.path)
    settings = _settings()
    steps = [_database(folder), _schema(), *_cluster(folder, options, report)]
    if settings.auth_demo_users and not settings.production:
        steps.insert(2, _demo_accounts(settings))
        if options.sample_data:
            steps.append(_sample_data(options))
    if OpenSearchSettings().opensearch_url is not None:
        steps.insert(1, _opensearch(report))
    if KafkaSettings().kafka_bootstrap_servers is not None:
        steps.insert(0, _kafka())
    if MongoSettings().mongo_url is not None:
        steps.insert(0, _mongodb())
    if RedisSettings().redis_url is not None:
        steps.insert(0, _redis(settings))
    return steps


def sweep_leftovers(folder: DataFolder) -> list[int]:
    """End what a platform of this folder left behind, keep its logs, remove its temporary files; returns the pids. The folder's lock must be ours."""
    from serve import ray_node

    ended = [*ray_node.sweep(folder.run_dir), *stop_leftovers(folder.postgres_dir / "pgdata")]
    ray_node.put_away(folder.run_dir, folder.node_logs_dir)
    return ended


def wait_ready(url: str, timeout_s: float = _READY_TIMEOUT_S) -> None:
    """Wait until `/ready` answers 200. Raises `UserError` with the last answer when it takes too long."""
    deadline = time.monotonic() + timeout_s
    answer = "no answer"
    with httpx.Client(base_url=url, timeout=2, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                status = client.get("/ready").status_code
            except httpx.HTTPError as error:
                answer = type(error).__name__
            else:
                if status == httpx.codes.OK:
                    return
                answer = f"status {status}"
            time.sleep(_READY_POLL_S)
    raise UserError(f"{url}/ready did not answer 200 within {timeout_s:.0f} s ({answer})")


def _database(folder: DataFolder) -> Step:
    if database.is_external():
        return Step(name="database (DATABASE_URL)", start=database.check_external)
    server = database.embedded(folder)

    def start() -> None:
        try:
            server.start()
        except EmbeddedPostgresError as error:
            raise UserError(str(error)) from error
        os.environ[database.URL_VARIABLE] = server.url

    def stop() -> None:
        os.environ.pop(database.URL_VARIABLE, None)
        server.stop()

    return Step(name="database", start=start, stop=stop)


def _redis(settings: ServeSettings) -> Step:
    def start() -> None:
        check_redis(RedisSettings(), production=settings.production)

    return Step(name="carts (REDIS_URL)", start=start)


def _opensearch(report: Report) -> Step:
    # After the database: the settings of all stores are read only when that one is named.
    def start() -> None:
        check_opensearch(StoreSettings(), report.note)

    return Step(name="search (OPENSEARCH_URL)", start=start)


def _kafka() -> Step:
    return Step(name="events (KAFKA_BOOTSTRAP_SERVERS)", start=lambda: check_kafka(KafkaSettings()))


def _mongodb() -> Step:
    return Step(name="catalog (MONGO_URL)", start=lambda: prepare_mongo(MongoSettings()))


def _schema() -> Step:
    def start() -> None:
        from persistence.postgres.migrate import migrate

        try:
            asyncio.run(migrate(StoreSettings()))
        except StoreError as error:
            raise UserError(f"the database was not brought up to date: {error}") from error

    return Step(name="schema", start=start)


def _demo_accounts(settings: ServeSettings) -> Step:
    async def make() -> None:
        from persistence.stores import open_stores
        from serve.sample_data import ensure_demo_users

        stores = await open_stores(StoreSettings())
        try:
            await ensure_demo_users(stores, settings)
        finally:
            await stores.close()

    return Step(name="demo accounts", start=lambda: asyncio.run(make()))


def _cluster(folder: DataFolder, options: UpOptions, report: Report) -> list[Step]:
    """The Ray node, the shard hosts and the HTTP deployment: all on one plan of ports and folders."""
    plans: list[NodePlan] = []

    def start_node() -> None:
        from serve import ray_node

        plans.append(ray_node.prepare_node(folder.path, options.host, options.port))
        ray_node.start_node(plans[0], progress=report.note)

    def stop_node() -> None:
        from serve import ray_node

        if plans:
            ray_node.stop_node(plans[0], progress=report.note)

    def node_fault() -> str | None:
        from serve import ray_node

        return ray_node.node_fault()

    def start_hosts() -> None:
        from actors.system import start_system

        start_system()

    def stop_hosts() -> None:
        from actors.system import stop_system

        stop_system()

    def start_http() -> None:
        from serve.deployment import deploy
        from serve.open_app import open_app

        deploy(open_app)
        report.note("waiting for /ready")
        wait_ready(base_url(options.host, options.port))

    def stop_http() -> None:
        from serve.deployment import undeploy

        undeploy()

    return [
        Step(name="Ray", start=start_node, stop=stop_node, fault=node_fault),
        Step(name="shard hosts", start=start_hosts, stop=stop_hosts),
        Step(name="HTTP", start=start_http, stop=stop_http),
    ]


def _sample_data(options: UpOptions) -> Step:
    def start() -> None:
        from serve.sample_data import DEMO_ADMIN, load

        asyncio.run(load(base_url(options.host, options.port), DEMO_ADMIN.email, DEMO_ADMIN.password))

    return Step(name="sample data", start=start)


def _settings() -> ServeSettings:
    settings = read_settings()
    try:
        PaymentSettings()  # the hosts read it; what is wrong with it is told here
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, PaymentSettings)}") from None
    if settings.production and os.environ.get("RAY_AUTH_MODE", "token") != "token":
        # Our own nodes have a token whatever it says; somebody who asks for none expects to get it.
        raise UserError("production refuses Ray without a token: unset RAY_AUTH_MODE")
    return settings
