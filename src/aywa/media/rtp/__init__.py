"""Legs over RTP: ports, sockets, pacing and reports of phone calls; refuses to know SIP."""
