//! The binary: parse, build the runtime, dispatch, turn an error into an exit code.

fn main() {}
