//! The binary: parse, build the runtime, dispatch, turn an error into an exit code.

use std::process::ExitCode;

use atalaya::cli;
use atalaya::ingest::crash;

fn main() -> ExitCode {
    let invocation = match cli::parse() {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    // Of use to the tests that kill the program at a chosen place; nothing in a release build.
    let _points = crash::choose_points();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return cli::report_error(
                &anyhow::Error::new(error).context("cannot start the async runtime"),
            );
        }
    };
    let outcome = runtime.block_on(cli::run(invocation));
    // A blocking read of stdin or a stuck disk must not hold up the exit.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| cli::report_error(&error))
}
