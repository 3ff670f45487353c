"""Connections that carry calls' audio; each translates its wire for the media plane and refuses to do more."""
