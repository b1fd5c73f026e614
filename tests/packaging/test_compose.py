"""docker-compose.yml and what belongs to it: complete, bounded, and without a secret."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from persistence.settings import StoreSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

REFERENCE_PORTS = {
    "platform": {8000, 8081, 3000, 3001, 8001, 8084},
    "postgres": {5432},
    "mongodb": {27017},
    "redis": {6379},
    "kafka": {9092},
    "opensearch": {9200},
    "mailpit": {8025},
}
MEMORY_MAX_MIB = 8 * 1024
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[-?][^}]*)?\}")
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY")


def settings_of(name: str) -> dict[str, str]:
    return {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_checked_bounded_and_restarted(name: str) -> None:
    service = SERVICES[name]
    check = service["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)
    assert service["mem_limit"].endswith("m")
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]


def test_the_limits_fit_the_reference_machine() -> None:
    assert sum(int(service["mem_limit"].removesuffix("m")) for service in SERVICES.values()) <= MEMORY_MAX_MIB


def test_every_image_is_pinned() -> None:
    for name, service in SERVICES.items():
        assert not service["image"].endswith(":latest"), name
        assert ":" in service["image"], name


def test_the_ports_of_the_reference_are_there_and_open_to_this_machine_only() -> None:
    for name, expected in REFERENCE_PORTS.items():
        published = [port.rsplit(":", 2) for port in SERVICES[name]["ports"]]
        assert {address for address, _, _ in published} == {"${PUBLISH_ADDRESS:-127.0.0.1}"}
        assert expected <= {int(outside) for _, outside, _ in published}, name
    assert {port.rsplit(":", 1)[1] for port in SERVICES["platform"]["ports"]} == {"8000"}
    outside = [port.rsplit(":", 2)[1] for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(outside) == len(set(outside))


def test_what_the_stores_keep_outlives_their_containers() -> None:
    for name in ("postgres", "mongodb", "redis", "kafka", "opensearch", "platform"):
        kept = SERVICES[name]["volumes"][0].split(":")[0]
        assert kept in COMPOSE["volumes"], name


def test_no_secret_is_in_the_file() -> None:
    for name in SERVICES:
        for key, value in settings_of(name).items():
            if _SECRET.search(key):
                assert _VARIABLE.fullmatch(value), (name, key)
            for login in re.findall(r"//([^/@]+)@", value):
                assert all(_VARIABLE.fullmatch(part) or part == "postgres" for part in _parts(login)), (name, key)
    assert "admin123" not in (ROOT / "docker-compose.yml").read_text("utf-8")


def _parts(login: str) -> list[str]:
    user, _, password = login.partition(":") if not login.startswith("${") else _split(login)
    return [user, password]


def _split(login: str) -> tuple[str, str, str]:
    at = login.index("}") + 1
    return login[:at], ":", login[at + 1 :]


def test_the_example_names_every_variable_that_is_needed() -> None:
    asked = _VARIABLE.findall((ROOT / "docker-compose.yml").read_text("utf-8"))
    needed = {name for name, default in asked if not default.startswith(":-")}
    given = {line.split("=")[0] for line in EXAMPLE.splitlines() if line and not line.startswith("#")}
    assert given == needed
    for line in EXAMPLE.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Z_]+=[A-Za-z0-9_-]+", line), "it becomes a part of a URL"
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert ".env" in ignored


def test_the_platform_reads_the_settings_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_of("platform").items():
        monkeypatch.setenv(name, _VARIABLE.sub(lambda found: (found[2] or ":-x")[2:] or "x", value))
    known = {
        (field.validation_alias or name).upper() if isinstance(field.validation_alias or name, str) else ""
        for name, field in StoreSettings.model_fields.items()
    }
    urls = {name for name in settings_of("platform") if name.endswith(("_URL", "_SERVERS"))}
    assert urls <= known
    settings = StoreSettings()
    for service in ("orders", "inventory", "payments", "users"):
        assert settings.url(service).endswith(f"@postgres:5432/{service}_db")  # type: ignore[arg-type]
    assert settings.opensearch_url is not None
    assert settings.redis_url is not None
    assert settings.smtp_url is not None


def test_the_stores_are_there_before_the_platform() -> None:
    waits = SERVICES["platform"]["depends_on"]
    assert set(waits) == set(SERVICES) - {"platform", "ray-worker"}
    assert {each["condition"] for each in waits.values()} == {"service_healthy"}


def test_the_databases_of_the_reference_are_made(tmp_path: Path) -> None:
    script = ROOT / "docker/postgres/databases.sh"
    assert os.access(script, os.X_OK)
    assert (
        "./docker/postgres/databases.sh:/docker-entrypoint-initdb.d/databases.sh:ro" in SERVICES["postgres"]["volumes"]
    )
    said = tmp_path / "said"
    psql = tmp_path / "psql"
    psql.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{said}\n')
    psql.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POSTGRES_USER": "postgres"}
    subprocess.run(["/bin/sh", str(script)], env=environment, check=True)
    made = re.findall(r"CREATE DATABASE (\w+)", said.read_text())
    assert made == ["stampede_db", "orders_db", "inventory_db", "payments_db", "users_db"]


def test_the_image_is_built_in_stages_from_the_lock_and_runs_as_nobody_special() -> None:
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN)", DOCKERFILE, re.MULTILINE)


def test_what_the_image_is_built_from_is_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    first = DOCKERFILE[: DOCKERFILE.rindex("FROM ")]
    copied = {name for line in re.findall(r"^COPY (.*)$", first, re.MULTILINE) for name in line.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
