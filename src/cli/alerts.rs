//! `atalaya alerts`: what fires, who has seen it, and what is to be kept quiet.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::output::Form;
use super::{Context, UsageError, output};
use crate::service::alerts::{self, Channels, Evaluator, Rulebook, Seen};
use crate::service::{health, pdca};
use crate::text_file;
use atalaya_domain::alert::{Alert, Silence};
use atalaya_domain::length::Length;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::metrics::{AlertFilter, MetricsStore};
use tokio_util::sync::CancellationToken;

mod show;

const EXAMPLES: &str = "\
Examples:
  atalaya alerts list                                   what fires, the worst first
  atalaya alerts show a3f9c2                            one alert with its evidence
  atalaya alerts ack errors --note 'looking into it'    no reminders; --until-worse to hear when it grows
  atalaya alerts silence 'shop-*' --for 2h --reason 'new database'
  atalaya alerts history --rule errors --limit 20
  atalaya alerts rules                                  each rule with its value and distance to the threshold
  atalaya alerts rules --now                            the same, measured now; tells nobody
  atalaya alerts channels                               what waits for each channel, and its last answer
  atalaya alerts test                                   a test message through every channel";

/// Alerts that one answer shows at most.
const MOST: u32 = 1_000;
/// A rule is written by hand.
const RULE_BYTES: u64 = 64 << 10;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,

    /// Who does this; the login name unless given.
    #[arg(long, global = true, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What fires or is about to: the worst and newest first. Exit code 1 when something fires.
    List,
    /// One alert with its evidence.
    Show {
        /// Its id, the beginning of its id, or the name of its rule.
        id: String,
    },
    /// Say that somebody looks after it: no more reminders.
    Ack {
        /// Its id, the beginning of its id, or the name of its rule.
        id: String,
        #[arg(long)]
        note: Option<String>,
        /// Silent only until its value is worse than now.
        #[arg(long)]
        until_worse: bool,
    },
    /// Tell nobody of some rules for a while; the alerts themselves are kept and shown.
    Silence(SilenceArgs),
    /// Alerts that fired, newest first.
    History {
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Every rule with its last value; add or remove one in the store.
    Rules(RulesArgs),
    /// Every channel with what waits for it.
    Channels,
    /// Send a test message through the channels, now. Exit code 1 when one does not take it, 2 when one cannot be used as it is configured.
    Test {
        /// Channels; all unless given.
        channels: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct SilenceArgs {
    /// Name of a rule; `*` stands for any letters.
    #[arg(required_unless_present_any = ["list", "end"])]
    pub rule: Option<String>,
    /// How long, as in `2h`.
    #[arg(long = "for", value_name = "LENGTH", conflicts_with = "until")]
    pub length: Option<String>,
    /// Until when, as RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// From when, as RFC 3339; now unless given.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    #[arg(long)]
    pub reason: Option<String>,
    /// The silences there are.
    #[arg(long, conflicts_with_all = ["rule", "end"])]
    pub list: bool,
    /// End the silence of this id now.
    #[arg(long, value_name = "ID", conflicts_with = "rule")]
    pub end: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct RulesArgs {
    /// Keep the rule in this TOML file in the store, for all hosts on it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["remove", "now", "measures"])]
    pub add: Option<std::path::PathBuf>,
    /// Take the rule of this name out of the store.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["now", "measures"])]
    pub remove: Option<String>,
    /// Measure every rule now instead of showing what was measured last; nothing is changed.
    #[arg(long, conflicts_with = "measures")]
    pub now: bool,
    /// The measures of the system that a rule can name.
    #[arg(long)]
    pub measures: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let form = Form::of(args.json);
    let now = Timestamp::now();
    if let Command::Test { channels } = &args.command {
        return test(channels, form, context, now).await;
    }
    let by = args.by.clone().unwrap_or_else(pdca::login_name);
    let stores = context.stores().await?;
    let store = stores.metrics.as_ref();
    let text = match args.command {
        Command::List => {
            let alerts = alerts::list(store).await?;
            output::print(form, &show::list(&alerts, args.json, now)?)?;
            let fires = alerts.iter().any(Alert::is_firing);
            return Ok(ExitCode::from(u8::from(fires)));
        }
        Command::Show { id } => show::one(&alerts::detail(store, &id).await?, args.json, now)?,
        Command::Ack {
            id,
            note,
            until_worse,
        } => {
            let seen = Seen {
                by,
                note,
                until_worse,
            };
            let alert = alerts::acknowledge(store, &id, seen, now).await?;
            show::one(&alert, args.json, now)?
        }
        Command::Silence(wanted) => {
            let silences = silence(&wanted, store, context, &by, now).await?;
            show::silences(&silences, args.json, now)?
        }
        Command::History { rule, limit } => {
            let filter = AlertFilter {
                rule,
                before: None,
                limit: limit.min(MOST),
            };
            let found = alerts::history(store, &filter).await?;
            show::history(&found, args.json, now)?
        }
        Command::Rules(wanted) => rules(&wanted, &stores, context, &by, args.json, now).await?,
        Command::Channels => {
            let channels = alerts::channels(store, &context.settings.alerts).await?;
            show::channels(&channels, args.json)?
        }
        // Answered before, without the stores.
        Command::Test { .. } => String::new(),
    };
    output::print(form, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn silence(
    args: &SilenceArgs,
    store: &dyn MetricsStore,
    context: &Context,
    by: &str,
    now: Timestamp,
) -> anyhow::Result<Vec<Silence>> {
    if args.list {
        return Ok(alerts::silences(store, now).await?);
    }
    if let Some(id) = &args.end {
        return Ok(vec![alerts::end_silence(store, id, now).await?]);
    }
    let from = args.from.as_deref().map_or(Ok(now), instant)?;
    let until = match (&args.length, &args.until) {
        (Some(length), _) => {
            let length: Length = length
                .parse()
                .map_err(|error| UsageError(format!("--for: {error}")))?;
            from.saturating_add(length.0)
        }
        (None, Some(until)) => instant(until)?,
        (None, None) => {
            let message =
                "a silence needs an end; write `--for 2h` or `--until 2026-03-06T17:00:00Z`";
            return Err(UsageError(message.to_owned()).into());
        }
    };
    let silence = alerts::new_silence(
        args.rule.clone().unwrap_or_default(),
        args.reason.clone().unwrap_or_default(),
        by.to_owned(),
        TimeRange::new(from, until),
    );
    let book = Rulebook::load(store, &context.settings.alerts).await?;
    alerts::silence(store, &silence, &book.rules, now).await?;
    Ok(vec![silence])
}

async fn rules(
    args: &RulesArgs,
    stores: &crate::service::Stores,
    context: &Context,
    by: &str,
    json: bool,
    now: Timestamp,
) -> anyhow::Result<String> {
    let settings = &context.settings.alerts;
    let store = stores.metrics.as_ref();
    if args.measures {
        return show::measures(json);
    }
    if let Some(path) = &args.add {
        let text = text_file::read(path, RULE_BYTES)
            .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())))?;
        let added = alerts::add_rule(store, settings, &text, by, now).await;
        added.map_err(|error| match error {
            alerts::AlertError::Wrong(why) => {
                anyhow::Error::from(UsageError(format!("{}: {why}", path.display())))
            }
            other => other.into(),
        })?;
    }
    if let Some(name) = &args.remove {
        alerts::remove_rule(store, name).await?;
    }
    let mut views = alerts::rules(store, settings, now).await?;
    if args.now {
        let evaluator = Evaluator::new(stores.clone(), &context.settings);
        let cancel = CancellationToken::new();
        evaluator.look(&mut views, now, &cancel).await?;
    }
    show::rules(&views, json)
}

/// Through every channel, at once and past everything that waits; nothing is recorded.
async fn test(
    wanted: &[String],
    form: Form,
    context: &Context,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let configured = &context.settings.alerts.channels;
    if let Some(unknown) = wanted.iter().find(|name| !configured.contains_key(*name)) {
        let known: Vec<&str> = configured.keys().map(String::as_str).collect();
        let message = format!(
            "there is no channel `{unknown}`; the configuration has {}",
            known.join(", ")
        );
        return Err(UsageError(message).into());
    }
    let settings = Arc::new(context.settings.clone());
    if form == Form::Text {
        output::note("sending a test message; each channel has up to its time limit");
    }
    // The default file is in the data directory, which nothing may have made yet.
    let data_dir = context.settings.data_dir.clone();
    let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(data_dir));
    // A directory that cannot be made is told by the channel that needs it.
    let _ = made.await?;
    let opened = Channels::open(settings).await;
    let courier = &opened.courier;
    let host = health::host_name();
    let names = courier.channels().into_iter();
    let names: Vec<String> = names
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect();
    let tries = names.iter().map(|name| {
        let message = alerts::test_message(name, &host, now);
        async move { (name.clone(), courier.send_now(&message, now).await) }
    });
    let results = futures::future::join_all(tries).await;
    let well = results.iter().all(|(_, sent)| sent.is_ok());
    output::print(form, &show::tests(&results, form == Form::Json)?)?;
    // One that can never take a message is a mistake in the configuration.
    let broken = names.iter().any(|name| courier.is_broken(name));
    Ok(ExitCode::from(match (well, broken) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    }))
}

fn instant(text: &str) -> Result<Timestamp, UsageError> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(Timestamp::from)
        .map_err(|error| {
            UsageError(format!(
                "`{text}` is no time ({error}); write it as 2026-03-06T17:00:00Z"
            ))
        })
}
