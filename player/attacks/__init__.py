"""Attacks on a PMP worker, each beside its control: the same attack on a process that is not protected."""
