"""What a media socket decides: which marks are out, in which order audio goes, who may connect."""
