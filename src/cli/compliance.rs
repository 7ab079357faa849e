//! `atalaya compliance`: the policy, checked.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::output::Form;
use super::{Context, output};
use crate::report::ecosystem_json;
use crate::service::{self, compliance};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
No Redis, Prometheus, Grafana or SMTP in what is built in, what is configured and what runs; tokens
in the database; no server that somebody else keeps. Exit code: 0 when all rules hold, else 1.

Examples:
  atalaya compliance
  atalaya compliance --json | jq '.rules[] | select(.compliant | not)'")]
pub struct Args {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    // A store that is away is a finding, not a failure to find out.
    let stores = service::attach_stores(&context.settings).await;
    let found = compliance::check(&stores, &context.settings).await;
    let text = if args.json {
        format!("{:#}\n", ecosystem_json::compliance(&found))
    } else {
        let mut text = String::new();
        for rule in &found.rules {
            let sign = if rule.compliant { "ok  " } else { "FAIL" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{sign}  {:<14} {}", rule.name, rule.evidence);
        }
        text
    };
    output::print(Form::of(args.json), &text)?;
    Ok(ExitCode::from(u8::from(!found.is_compliant())))
}
