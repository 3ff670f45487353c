"""The session initiation protocol, RFC 3261 and what grew around it, as machines without sockets, clocks or chance."""
