"""Text as a voice should be given it: "$42.50" becomes "forty two dollars and fifty cents"."""
