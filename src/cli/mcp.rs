//! `atalaya mcp`: the door for language models on standard input and output.

use std::process::ExitCode;

use super::Context;
use crate::mcp::Mcp;
use crate::service;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A client that speaks the Model Context Protocol starts this and writes to its standard input. The
tools only read. A running service has the same at /mcp, for a token that may read.

Examples:
  atalaya mcp < requests.jsonl
  echo '{\"mcpServers\": {\"atalaya\": {\"command\": \"atalaya\", \"args\": [\"mcp\"]}}}' > .mcp.json")]
pub struct Args {}

pub async fn run(_: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    // A store that is away says so in the answers of its tools.
    let stores = service::attach_stores(&context.settings).await;
    Mcp::new(stores, context.settings.clone())
        .serve_stdio()
        .await?;
    Ok(ExitCode::SUCCESS)
}
