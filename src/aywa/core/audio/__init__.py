"""Sound as numbers: frames, codecs, rates, levels, mixing. Refuses to know where sound comes from or goes to."""
