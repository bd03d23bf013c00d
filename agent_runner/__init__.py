"""Runs on every host, never imports Django: control plane, data plane, sources, senders, job worker."""
