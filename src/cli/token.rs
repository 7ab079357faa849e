//! `atalaya token`: who may ask the HTTP API.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::Form;
use super::{Context, UsageError, output};
use crate::report::token_json;
use crate::service;
use crate::service::tokens::{self, NewToken};
use crate::shown::Shown;
use atalaya_domain::length::Length;
use atalaya_domain::time::Timestamp;
use atalaya_domain::token::{Scope, TokenRecord};

const EXAMPLES: &str = "\
A token is shown once, when it is made; only its hash is kept. A revoked one is refused within a
second.

Examples:
  atalaya token create laptop                            reads everything, for 90 days
  atalaya token create shop --scope write --expires 1h   sends records, reads nothing
  TOKEN=$(atalaya token create ci --scope read,write)    on standard output is only the token
  atalaya token list
  atalaya token revoke laptop";

/// Arguments of `atalaya token`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token and print it.
    Create {
        /// What it is for.
        name: String,
        /// What it permits: read, write, admin; several with commas.
        #[arg(
            long,
            value_name = "SCOPES",
            default_value = "read",
            value_delimiter = ','
        )]
        scope: Vec<String>,
        /// How long it is good for, as in `30d`, or `never`.
        #[arg(long, value_name = "LENGTH", default_value = "90d")]
        expires: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Every token that was made, newest first; never the token itself.
    List {
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Refuse a token from now on.
    Revoke {
        /// Its id, or its name when only one valid token has it.
        #[arg(value_name = "ID|NAME")]
        token: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    match args.command {
        Command::Create {
            name,
            scope,
            expires,
            json,
        } => {
            let new = wanted(name, &scope, &expires)?;
            create(context, new, json, now).await
        }
        Command::List { json } => list(context, json, now).await,
        Command::Revoke { token, json } => {
            let store = service::open_metrics(&context.settings).await?;
            let revoked = tokens::revoke(&*store, &token, now).await?;
            if json {
                print_json(&token_json::token(&revoked, now))?;
            } else {
                output::print(Form::Text, &line(&revoked, now))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn wanted(name: String, scopes: &[String], expires: &str) -> Result<NewToken, UsageError> {
    let scopes = scopes
        .iter()
        .map(|word| word.trim().parse::<Scope>())
        .collect::<Result<_, _>>()
        .map_err(|error| UsageError(format!("--scope: {error}")))?;
    let lifetime = if expires == "never" {
        None
    } else {
        let length: Length = expires
            .parse()
            .map_err(|error| UsageError(format!("--expires: {error}, or `never`")))?;
        Some(length.0)
    };
    Ok(NewToken {
        name,
        scopes,
        lifetime,
    })
}

async fn create(
    context: &Context,
    new: NewToken,
    json: bool,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let store = service::open_metrics(&context.settings).await?;
    let (token, record) = tokens::create(&*store, new, now).await?;
    if json {
        let mut all = token_json::token(&record, now);
        all["token"] = json!(token.reveal());
        print_json(&all)?;
    } else {
        output::print(Form::Text, &format!("{}\n", token.reveal()))?;
        output::note(
            "this is the only time that the token is shown; send it as `Authorization: Bearer TOKEN`",
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(context: &Context, json: bool, now: Timestamp) -> anyhow::Result<ExitCode> {
    let store = service::open_metrics(&context.settings).await?;
    let all = tokens::list(&*store).await?;
    if json {
        let all: Vec<Value> = all.iter().map(|one| token_json::token(one, now)).collect();
        print_json(&Value::from(all))?;
    } else if all.is_empty() {
        output::note("there is no token; `atalaya token create NAME` makes one");
    } else {
        let text: String = all.iter().map(|one| line(one, now)).collect();
        output::print(Form::Text, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    Ok(output::print(Form::Json, &format!("{value:#}\n"))?)
}

fn line(token: &TokenRecord, now: Timestamp) -> String {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let day = |at: Timestamp| at.to_utc().format("%Y-%m-%d %H:%MZ").to_string();
    let mut text = format!(
        "{}  {:8} {:16} {}",
        token.id,
        token.state(now),
        scopes.join(","),
        Shown::line(&token.name)
    );
    let moments = [
        ("expires", token.expires_at),
        ("last used", token.last_used_at),
        ("revoked", token.revoked_at),
    ];
    for (what, at) in moments {
        if let Some(at) = at {
            // Writing to a string cannot fail.
            let _ = write!(text, "  {what} {}", day(at));
        }
    }
    text.push('\n');
    text
}
