"""The equipment's side of every media socket, each written from its vendor's documentation and nothing else."""
