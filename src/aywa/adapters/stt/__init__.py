"""Recognisers behind a wire; each module translates one protocol and does nothing else."""
