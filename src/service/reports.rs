//! Reports that are kept: one of each full month and week, as files below the data directory. The
//! first that has anything to say is the baseline, and stays as it was.
//!
//! The same period again takes the place of its file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{Datelike as _, Days, NaiveDate};
use chrono_tz::Tz;

use super::dora::{self, ReportRequest, UnknownWord, Window};
use crate::config::Settings;
use crate::text_file;
use atalaya_domain::dora::DoraReport;
use atalaya_domain::dora::trend::midnight;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

/// Weekly reports that are kept: two years. Monthly ones stay.
const WEEKS_KEPT: usize = 104;
/// The longest report that is read back.
const MOST_BYTES: u64 = 16 << 20;
const BASELINE: &str = "baseline";

/// Why a report was not made or not found.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Word(#[from] UnknownWord),
    #[error("cannot use {path}; check the folder and its free space")]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "there is no baseline in {0}; the first report of the job `dora_report` that has deployments becomes it, on the host that runs the jobs: `atalaya jobs run dora_report`"
    )]
    NoBaseline(PathBuf),
}

impl ReportError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::Word(_) => ErrorClass::Usage,
            Self::Folder { .. } => ErrorClass::Transient,
            Self::NoBaseline(_) => ErrorClass::Missing,
        }
    }
}

/// Which full stretch of time a report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Month,
    Week,
}

/// The last full month or week (from Monday) before an instant, and its name: `2026-11`, `2026-W48`.
pub fn last_full(period: Period, now: Timestamp, zone: Tz) -> (String, TimeRange) {
    let today = now.to_utc().with_timezone(&zone).date_naive();
    let (from, until) = match period {
        Period::Month => {
            let until = today.with_day(1).unwrap_or(today);
            let last = until.pred_opt().unwrap_or(until);
            (last.with_day(1).unwrap_or(last), until)
        }
        Period::Week => {
            let back = u64::from(today.weekday().num_days_from_monday());
            let until = today.checked_sub_days(Days::new(back)).unwrap_or(today);
            let from = until.checked_sub_days(Days::new(7)).unwrap_or(until);
            (from, until)
        }
    };
    let range = TimeRange::new(midnight(from, zone), midnight(until, zone));
    (name_of(period, from), range)
}

fn name_of(period: Period, first: NaiveDate) -> String {
    match period {
        Period::Month => first.format("%Y-%m").to_string(),
        Period::Week => first.format("%G-W%V").to_string(),
    }
}

/// The report of everything in the configured environment over the last full period.
///
/// # Errors
/// The store cannot be read, or the configuration names nothing that is known.
pub async fn make(
    store: &dyn MetricsStore,
    settings: &Settings,
    period: Period,
    zone: Tz,
    now: Timestamp,
) -> Result<(String, DoraReport), ReportError> {
    let (name, range) = last_full(period, now, zone);
    let mut request = ReportRequest::configured(30, &settings.dora, None, zone)?;
    request.window = Window::Between(range);
    let report = dora::report(store, &request, now).await?;
    Ok((name, report))
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub path: PathBuf,
    /// It is the first one, against which later ones are seen.
    pub is_baseline: bool,
}

/// Writes a report into its file, and into the baseline when there is none yet and it has
/// deployments. Blocking.
///
/// # Errors
/// The folder cannot be written.
pub fn keep(
    settings: &Settings,
    name: &str,
    report: &DoraReport,
    markdown: &str,
    json: &str,
) -> Result<Kept, ReportError> {
    let folder = folder(settings);
    let wrong = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ReportError::Folder { path, source }
    };
    fs::create_dir_all(&folder).map_err(wrong(&folder))?;
    let path = folder.join(format!("dora-{name}.md"));
    text_file::replace(&path, markdown.as_bytes()).map_err(wrong(&path))?;
    let (text, machine) = (baseline_path(&folder, "md"), baseline_path(&folder, "json"));
    // The text is the last that is written: with it the baseline is whole.
    let is_baseline = !report.deployments.is_empty() && !text.exists();
    if is_baseline {
        text_file::replace(&machine, json.as_bytes()).map_err(wrong(&machine))?;
        text_file::replace(&text, markdown.as_bytes()).map_err(wrong(&text))?;
    }
    forget_old_weeks(&folder).map_err(wrong(&folder))?;
    Ok(Kept { path, is_baseline })
}

/// The baseline as it was kept, as Markdown or JSON. Blocking.
///
/// # Errors
/// There is none on this host, or it cannot be read.
pub fn baseline(settings: &Settings, as_json: bool) -> Result<String, ReportError> {
    let folder = folder(settings);
    let path = baseline_path(&folder, if as_json { "json" } else { "md" });
    text_file::read(&path, MOST_BYTES).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ReportError::NoBaseline(folder),
        _ => ReportError::Folder { path, source },
    })
}

fn folder(settings: &Settings) -> PathBuf {
    settings.data_dir.join("reports")
}

fn baseline_path(folder: &Path, kind: &str) -> PathBuf {
    folder.join(format!("{BASELINE}.{kind}"))
}

/// Names sort by their week.
fn forget_old_weeks(folder: &Path) -> io::Result<()> {
    let mut weeks = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("dora-") && name.contains("-W")) {
            weeks.push(path);
        }
    }
    weeks.sort();
    let gone = weeks.len().saturating_sub(WEEKS_KEPT);
    weeks.iter().take(gone).try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().into()
    }

    #[test]
    fn the_last_full_period_is_that_of_the_zone() {
        let madrid: Tz = "Europe/Madrid".parse().unwrap();
        // 00:00 there on the first of March is 23:00 of UTC the day before.
        let (name, range) = last_full(Period::Month, at("2026-02-28T23:00:00Z"), madrid);
        assert_eq!(name, "2026-02");
        assert_eq!(range.from, at("2026-01-31T23:00:00Z"));
        assert_eq!(range.until, at("2026-02-28T23:00:00Z"));
        let (name, range) = last_full(Period::Week, at("2027-01-04T10:00:00Z"), Tz::UTC);
        assert_eq!(name, "2026-W53");
        assert_eq!(range.from, at("2026-12-28T00:00:00Z"));
        assert_eq!(range.until, at("2027-01-04T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn periods_end_before_now_and_join(seconds in 0_i64..4_000_000_000, zone in 0..chrono_tz::TZ_VARIANTS.len()) {
            let (now, zone) = (Timestamp::from_seconds(seconds), chrono_tz::TZ_VARIANTS[zone]);
            for period in [Period::Month, Period::Week] {
                let (name, range) = last_full(period, now, zone);
                prop_assert!(range.until <= now && range.from < range.until);
                let (earlier, before) = last_full(period, range.from, zone);
                prop_assert_eq!(before.until, range.from);
                prop_assert!(earlier < name);
            }
        }
    }
}
