"""FreeSWITCH's event socket over TCP, either way: a client that keeps its connection, and a server that calls come to."""
