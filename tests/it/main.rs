//! Everything that needs more than one module, a real terminal, real files or a real server.
