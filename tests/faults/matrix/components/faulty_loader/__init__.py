"""A topology loader that goes wrong as the first sink's options say."""
