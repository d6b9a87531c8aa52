"""What pytest finds: fixtures and assertions for suites of streaming engineers."""
