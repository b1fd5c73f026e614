"""Where one platform's Ray node lives: its folders and its ports. Plain data; starts nothing, imports no Ray."""

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

PLAN_FILE = "node.json"
# Below Linux' and macOS' ephemeral ranges, so that no outgoing connection takes a reserved port before we bind it.
_BLOCKS = range(20_000, 32_000, 100)
_SINGLE_PORTS = 6
_REPLICA_PORTS = 47
# Ray appends up to 66 bytes (session_<date>_<pid>/sockets/plasma_store) and HAProxy 76 (a node id, its temporary
# suffix) to the folder of their sockets; the system allows 107 for the whole. So the folder is a short one of its own.
_SOCKET_ROOT = "/tmp"  # noqa: S108 -- mkdtemp makes the folder below it, mode 700, with a name nobody can foresee


class PortInUse(RuntimeError):
    """Someone else listens on the port that the platform was told to use."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} on {host} is in use; choose another with --port")
        self.host = host
        self.port = port


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Folders and ports of one platform on this machine; the same plan finds the platform again.

    `run_dir` (mode 700) holds what belongs to the running node: the plan itself, secrets, HAProxy's configuration.
    `temp_dir` is Ray's temporary folder (sessions, sockets, logs), short enough for Unix sockets; its name is also
    the mark by which the node's processes are recognised.
    """

    run_dir: str
    temp_dir: str
    http_host: str
    http_port: int
    fallback_http_port: int
    fallback_grpc_port: int
    haproxy_stats_port: int
    haproxy_metrics_port: int
    autoscaler_metrics_port: int
    dashboard_metrics_port: int
    replica_http_port_min: int
    replica_http_port_max: int
    replica_grpc_port_min: int
    replica_grpc_port_max: int

    @classmethod
    def reserve(cls, data_dir: Path, host: str, port: int) -> "NodePlan":
        """Choose free, disjoint ports and make the folders, but save nothing.

        Every block of ports has its owner by chance of the folder's name, so that platforms started at the same
        moment do not choose the same. Raises `PortInUse` when `port` is taken, `OSError` when a folder cannot be made.
        """
        if not _is_free(host, port):
            raise PortInUse(host, port)
        run_dir = data_dir.resolve() / "run"
        run_dir.mkdir(parents=True, exist_ok=True)
        run_dir.chmod(0o700)
        first = next(first for first in _blocks(str(run_dir)) if _block_is_free(first))
        return cls(
            run_dir=str(run_dir),
            temp_dir=tempfile.mkdtemp(prefix="stampede-", dir=_SOCKET_ROOT),
            http_host=host,
            http_port=port,
            fallback_http_port=first,
            fallback_grpc_port=first + 1,
            haproxy_stats_port=first + 2,
            haproxy_metrics_port=first + 3,
            autoscaler_metrics_port=first + 4,
            dashboard_metrics_port=first + 5,
            replica_http_port_min=first + _SINGLE_PORTS,
            replica_http_port_max=first + _SINGLE_PORTS + _REPLICA_PORTS - 1,
            replica_grpc_port_min=first + _SINGLE_PORTS + _REPLICA_PORTS,
            replica_grpc_port_max=first + _SINGLE_PORTS + 2 * _REPLICA_PORTS - 1,
        )

    def save(self) -> None:
        """Write the plan into its run folder, atomically."""
        path = Path(self.run_dir) / PLAN_FILE
        draft = path.with_suffix(".tmp")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        draft.replace(path)

    @classmethod
    def load(cls, run_dir: Path) -> "NodePlan | None":
        """The plan saved in `run_dir`, or None when there is none. Raises `msgspec.DecodeError` if it is damaged."""
        with suppress(FileNotFoundError):
            return msgspec.json.decode((run_dir.resolve() / PLAN_FILE).read_bytes(), type=cls)
        return None

    def discard(self) -> None:
        """Remove the plan's file and Ray's temporary folder with its logs. Only for a node that is stopped."""
        shutil.rmtree(self.temp_dir, ignore_errors=True)
        (Path(self.run_dir) / PLAN_FILE).unlink(missing_ok=True)

    @property
    def logs_dir(self) -> Path:
        """Ray's logs of the latest session: `serve/` has the replicas', `worker-*` the shard hosts'."""
        return Path(self.temp_dir) / "session_latest" / "logs"

    @property
    def token_path(self) -> Path:
        """The file with the token that this node's Ray processes ask of each other."""
        return Path(self.run_dir) / "secrets" / "ray-token"


def _blocks(name: str) -> Iterator[int]:
    """The first ports of all blocks, beginning at one that `name` decides."""
    digest = hashlib.blake2b(f"{os.getuid()}:{name}".encode(), digest_size=8).digest()
    start = int.from_bytes(digest) % len(_BLOCKS)
    yield from (_BLOCKS[(start + i) % len(_BLOCKS)] for i in range(len(_BLOCKS)))


def _block_is_free(first: int) -> bool:
    return all(_is_free("127.0.0.1", port) for port in range(first, first + _BLOCKS.step))


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        # As a server does: connections that linger from a node just stopped are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
