"""Orders that go out to a system as files."""
