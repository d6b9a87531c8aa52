"""One-shot decrypt and encrypt, which start without click: nothing here imports a verb."""
