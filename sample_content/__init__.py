"""Recipes and the maker of every sample, a process of its own; no third-party media."""
