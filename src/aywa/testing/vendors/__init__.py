"""The vendors' real wires on loopback, one module each, all behind one port; refuses to know an adapter."""
