"""Carriers: vendors with an API and a media socket. Each: its markup, its webhooks, its REST API."""
