"""The Media Session core, the same in both processes. Imports nothing."""
