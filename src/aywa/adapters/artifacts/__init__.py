"""Where artifacts and uploaded files lie as objects."""
