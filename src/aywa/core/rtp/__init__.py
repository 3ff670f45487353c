"""RTP without sockets: packets, reports, buffers and keys of one stream. Bytes and the time come in, bytes go out."""
