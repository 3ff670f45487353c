"""What the inside needs of the outside: Protocols and the plain records they exchange. No behaviour."""
