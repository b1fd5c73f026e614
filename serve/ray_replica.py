"""Keeps the gRPC server of a Ray Serve replica to its node's own address.

Ray Serve binds it to every address, with no setting for that. It takes calls of other deployments, which it unpickles;
the node's token guards it, and nobody but this node's processes has business there. They call it by the node's address.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import ray

_MODULE: Final = "ray.serve._private.replica"
_FUNCTION: Final = "add_port_to_grpc_server"
_EVERYWHERE: Final = "[::]:"


def keep_grpc_private() -> bool:
    """Call it in the replica's process before its gRPC server has a port. Whether this is a replica.

    It puts a function of ours in the place of one of Ray's. `tests/integration/test_ray_node.py` looks whether a port
    is open: the version of Ray is pinned, and another one may need another way.
    """
    module = sys.modules.get(_MODULE)
    if not isinstance(module, ModuleType) or not hasattr(module, _FUNCTION):
        return False
    bind: Callable[[Any, str], int] = getattr(module, _FUNCTION)
    node = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]

    def bind_to_node(server: Any, address: str) -> int:
        port = address.removeprefix(_EVERYWHERE)
        return bind(server, f"{node}:{port}" if port != address else address)

    setattr(module, _FUNCTION, bind_to_node)
    return True
