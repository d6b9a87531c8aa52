"""Recipes and the maker of every sample; no third-party media."""
