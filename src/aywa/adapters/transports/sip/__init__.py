"""SIP's sockets, timers and names around the pure agent of core.sip."""
