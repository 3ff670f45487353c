"""Who holds the floor: pure machines for endpointing, barge-in, backchannels and speculation."""
