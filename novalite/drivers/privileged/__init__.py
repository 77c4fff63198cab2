"""What needs root, for a process that has none: the network port over a unix socket.

``novalite privileged`` runs as root and answers one user. The list of what may be asked is the Protocol of the
network driver: named operations with typed arguments, which a filter file narrows further. Nothing else can be said,
so there is no command line, no path and no program for anybody to choose.
"""
