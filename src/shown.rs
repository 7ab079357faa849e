//! Untrusted text made safe to show: the only way from a stored string to a terminal.
