"""FreeSWITCH's event socket (mod_event_socket) without a socket: frames, events, commands, one connection, one channel.

Facts are from FreeSWITCH's own documentation: mod_event_socket, Event Socket Outbound, Event List, Hangup Cause Code Table,
mod_commands, mod_dptools.
"""
