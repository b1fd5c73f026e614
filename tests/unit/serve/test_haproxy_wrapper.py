"""The corrections of Ray Serve's HAProxy configuration: all of them, or a refusal to start."""

import pytest

from serve.haproxy_wrapper import DoesNotFit, correct

GENERATED = """\
global
    log 127.0.0.1:514 local0 info
    stats socket /run/admin mode 666 level admin expose-fd listeners
    stats timeout 30s
defaults
    mode http
    option log-health-checks
    timeout client 120s
    log global
    option httplog
    errorfile 502 /run/500.http
    errorfile 503 /run/500.http
    errorfile 504 /run/500.http
frontend prometheus
    bind :9101
    http-request use-service prometheus-exporter if { path /metrics }
    no log
frontend http_frontend
    bind 127.0.0.1:8000
    use_backend http-stampede if is_http-stampede
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path '%[path]' not found."
backend http-stampede
    log global
    default-server fall 3 rise 2 inter 500ms check
    server SERVE_REPLICA_1 127.0.0.1:30000 check observe layer4 error-limit 3 on-error mark-down
    server SERVE_PROXY_ACTOR-fallback-1 127.0.0.1:8500 check backup
listen stats
  bind *:8404
  stats enable
"""


def test_everything_is_corrected() -> None:
    corrected = correct(GENERATED, "127.0.0.1:8000").splitlines()
    for gone in (
        *("prometheus", "listen stats", "mode 666", " log ", "errorfile", "return status 404", "SERVE_PROXY_ACTOR"),
    ):
        assert not [line for line in corrected if gone in line]
    for there in (
        "    timeout http-request 10s",
        "    option http-buffer-request",
        "    option forwardfor",
        "    http-request del-header x-request-timeout-seconds",
        "    http-request set-header x-request-disconnect-disabled ?1",
        "    http-request del-header x-forwarded-for",
        "    default-server maxconn 512 fall 3 rise 2 inter 500ms check",
    ):
        assert there in corrected


def test_correcting_twice_is_correcting_once() -> None:
    once = correct(GENERATED, "127.0.0.1:8000")
    assert correct(once, "127.0.0.1:8000") == once


def test_only_the_public_address_is_told_to_haproxy() -> None:
    assert "    bind 0.0.0.0:80" in correct(GENERATED, "0.0.0.0:80").splitlines()


def test_trusted_proxies_keep_what_they_say_about_the_client() -> None:
    corrected = correct(GENERATED, "127.0.0.1:8000", "10.0.0.0/8, ::1").splitlines()
    assert "    http-request del-header x-forwarded-for unless { src 10.0.0.0/8 ::1 }" in corrected
    assert "    http-request del-header x-request-timeout-seconds" in corrected


@pytest.mark.parametrize(
    ("expected", "instead"),
    [
        ("frontend prometheus", "frontend metrics"),
        ("listen stats", "listen figures"),
        ("mode 666", "mode 777"),
        ("defaults\n    mode http", "defaults\n    mode tcp"),
        ("errorfile 503", "http-error status 503 errorfile"),
        ("frontend http_frontend", "frontend http"),
        ("status 404", "status 400"),
        ("SERVE_PROXY_ACTOR", "SERVE_FALLBACK"),
        ("log 127.0.0.1:514 local0 info", "log 127.0.0.1:514 local0 debug"),
    ],
)
def test_a_template_that_changed_is_refused(expected: str, instead: str) -> None:
    assert expected in GENERATED
    changed = GENERATED.replace(expected, instead)
    with pytest.raises(DoesNotFit):
        correct(changed, "127.0.0.1:8000")


@pytest.mark.parametrize(("bind", "trusted"), [("", ""), ("x y:1", ""), ("h:1\nstats enable", ""), ("h:1", "all }")])
def test_settings_cannot_write_into_the_configuration(bind: str, trusted: str) -> None:
    with pytest.raises(DoesNotFit):
        correct(GENERATED, bind, trusted)
