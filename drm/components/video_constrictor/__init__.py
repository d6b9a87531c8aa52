"""Transform that scales pictures down to what a license lets out."""
