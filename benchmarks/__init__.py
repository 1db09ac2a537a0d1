"""Receivers side by side: how many objects they acknowledge, how fast, and what that costs."""
