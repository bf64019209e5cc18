"""Drills: something breaks on purpose, and afterwards everything is as if nothing had. docs/reliability.md says which drill proves what."""
