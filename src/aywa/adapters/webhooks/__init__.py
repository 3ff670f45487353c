"""The customers' own servers, asked over HTTP (contract 7)."""
