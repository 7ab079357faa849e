//! The command line: one thin file per subcommand, which parses, calls a use case and prints.
