"""The address to listen on, tried before anything is started."""

import errno
import socket

from serve.platform.errors import UserError

_REASONS = {
    errno.EADDRINUSE: "port {port} on {host} is in use; choose another with --port",
    errno.EACCES: "port {port} on {host} needs more rights; choose one above 1023 with --port",
    errno.EADDRNOTAVAIL: "{host} is not an address of this machine; choose another with --host",
}


def check_address(host: str, port: int) -> None:
    """Raises `UserError` if nobody could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise UserError(f"{host} is not an address of this machine; choose another with --host") from None
    with socket.socket(family, kind, protocol) as probe:
        # As the server does: connections that linger from a platform just stopped are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, "cannot listen on {host} port {port}: " + str(error.strerror))
            raise UserError(reason.format(host=host, port=port)) from error
