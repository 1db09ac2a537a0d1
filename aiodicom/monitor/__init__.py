"""Watchers that come with the box."""
