//! The shape of a configuration file. Every key is optional; an unknown one is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::alerts::{AlertsConfig, PolicyConfig};
use super::api::ApiConfig;
use super::backup::BackupConfig;
use super::github::GithubConfig;
use super::stores::{SpoolConfig, StoresConfig};

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileConfig {
    /// Where the embedded stores, checkpoints and the console's state are kept.
    pub data_dir: Option<PathBuf>,
    pub stores: StoresConfig,
    pub console: ConsoleConfig,
    pub ingest: IngestConfig,
    pub dora: DoraConfig,
    pub github: GithubConfig,
    pub pdca: PdcaConfig,
    pub backup: BackupConfig,
    pub alerts: AlertsConfig,
    pub policy: PolicyConfig,
    pub api: ApiConfig,
    pub service: ServiceConfig,
    pub retention: RetentionConfig,
    pub reports: ReportsConfig,
    /// By the name of the job.
    pub jobs: BTreeMap<String, JobConfig>,
}

/// `[service]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// Zone in which jobs mean hours of the day: an IANA name; absent means that of `[ingest]`.
    pub timezone: Option<String>,
    /// After this many seconds without a word from the process that runs the jobs another one does.
    pub lease_seconds: u32,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            timezone: None,
            lease_seconds: 15,
        }
    }
}

/// `[reports]`: what the jobs `dora_report` and `dora_report_weekly` write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportsConfig {
    /// Channels of `[alerts.channels]` that are sent each report; none unless given.
    pub channels: Vec<String>,
}

/// `[retention]`: days until something is deleted; 0 keeps it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Log records of the embedded store. Cassandra has its own (`stores.cassandra.retention_days`).
    pub logs_days: u32,
    pub health_days: u32,
    /// Runs of jobs with their output.
    pub job_runs_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            logs_days: 90,
            health_days: 30,
            job_runs_days: 30,
        }
    }
}

/// `[jobs.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobConfig {
    /// A cron expression or an interval; absent means the job's own.
    pub schedule: Option<String>,
    pub enabled: Option<bool>,
}

/// `[console]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// `dark`, `light`, `high-contrast`, `monochrome`, or a file of the user's themes directory.
    pub theme: String,
    pub mouse: bool,
    /// Show times in UTC instead of the local zone.
    pub utc: bool,
    /// Action name to key, as `:help` and the help screen print them.
    pub keys: BTreeMap<String, String>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            theme: "dark".to_owned(),
            mouse: false,
            utc: false,
            keys: BTreeMap::new(),
        }
    }
}

/// `[ingest]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// Read this machine's logs under /var/log when no `[[ingest.files]]` is given.
    pub discover: bool,
    /// Zone of stamps without one: an IANA name or `UTC`; absent means the host's.
    pub timezone: Option<String>,
    /// Directories into which rotation moves files (logrotate's `olddir`), beside those that are
    /// looked into anyway.
    pub old_dirs: Vec<PathBuf>,
    pub spool: SpoolConfig,
    pub files: Vec<IngestFileConfig>,
    /// Formats of the user's own, by name.
    pub formats: BTreeMap<String, UserFormatConfig>,
    pub ids: IdNamesConfig,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            discover: true,
            timezone: None,
            old_dirs: Vec::new(),
            spool: SpoolConfig::default(),
            files: Vec::new(),
            formats: BTreeMap::new(),
            ids: IdNamesConfig::default(),
        }
    }
}

/// `[ingest.ids]`: further names under which a text or a structured record gives its ids, beside
/// `request_id`, `X-Request-ID`, `user_id` and the like; compared without case and separators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdNamesConfig {
    pub request: Vec<String>,
    pub user: Vec<String>,
    pub session: Vec<String>,
}

/// `[[ingest.files]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestFileConfig {
    /// A path or a glob.
    pub path: String,
    /// A format's name; absent means detected from the first lines.
    pub format: Option<String>,
    /// What the records are called: `nginx/access`, `app/shop` …; absent means the format's own.
    pub source: Option<String>,
    /// `app` or `infra`; absent means the format's own.
    pub layer: Option<String>,
    /// Zone of stamps without one; absent means that of `[ingest]`.
    pub timezone: Option<String>,
}

/// `[ingest.formats.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFormatConfig {
    /// A regular expression with named groups: timestamp, level, logger, message, `request_id`,
    /// `user_id`, `session_id`, `duration_ms`; any other group becomes metadata.
    pub pattern: String,
    /// strftime form of the timestamp; absent means guessed.
    pub time_format: Option<String>,
    pub source: Option<String>,
    pub layer: Option<String>,
}

/// `[dora]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoraConfig {
    /// A git repository; absent means the one that a command is started in.
    pub repository: Option<PathBuf>,
    /// Tags that are deployments, as a glob; absent means tags that look like a version.
    pub tags: Option<String>,
    /// Merges into this branch are deployments instead.
    pub branch: Option<String>,
    /// What the repository's service is called; absent means what its remote is called, else its
    /// directory.
    pub service: Option<String>,
    /// The team of its deployments.
    pub team: Option<String>,
    /// The environment that counts.
    pub environment: String,
    /// `dora` or `iact`.
    pub profile: String,
    /// Named set of level limits: `dora-2021`, `dora-2023`, `dora-2024`, `iact-web`, `iact-script`.
    pub thresholds: String,
    /// An incident without a stated cause is linked to a deployment at most this much earlier.
    pub incident_window_hours: u32,
    /// A revert fails a deployment that went out at most this much earlier.
    pub revert_window_hours: u32,
    pub targets: TargetsConfig,
}

impl Default for DoraConfig {
    fn default() -> Self {
        Self {
            repository: None,
            tags: None,
            branch: None,
            service: None,
            team: None,
            environment: "production".to_owned(),
            profile: "dora".to_owned(),
            thresholds: "dora-2023".to_owned(),
            incident_window_hours: 24,
            revert_window_hours: 168,
            targets: TargetsConfig::default(),
        }
    }
}

/// A number that something can reach: TOML also has `nan` and `inf`.
fn goal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(serde::de::Error::custom(format!(
            "`{value}` is no goal; a number of 0 or more is one"
        )))
    }
}

/// `[dora.targets]`: what the team wants to reach. Defaults: the product plan's targets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetsConfig {
    #[serde(deserialize_with = "goal")]
    pub deployments_per_week: f64,
    #[serde(deserialize_with = "goal")]
    pub lead_time_hours: f64,
    /// 0 to 1.
    #[serde(deserialize_with = "goal")]
    pub change_failure_ratio: f64,
    #[serde(deserialize_with = "goal")]
    pub recovery_hours: f64,
    /// 0 to 1.
    #[serde(deserialize_with = "goal")]
    pub rework_ratio: f64,
}

impl Default for TargetsConfig {
    fn default() -> Self {
        Self {
            deployments_per_week: 1.0,
            lead_time_hours: 48.0,
            change_failure_ratio: 0.15,
            recovery_hours: 4.0,
            rework_ratio: 0.15,
        }
    }
}

/// `[pdca]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PdcaConfig {
    /// Weighted score in percent from which APPLY is proposed.
    #[serde(deserialize_with = "finite")]
    pub apply_percent: f64,
    /// Weighted score in percent down to which REVERT is proposed.
    #[serde(deserialize_with = "finite")]
    pub revert_percent: f64,
    /// Weighted score in percent from which CONTINUE is proposed.
    #[serde(deserialize_with = "finite")]
    pub continue_percent: f64,
    /// Whole days before the change that make the baseline.
    pub baseline_days: u32,
    /// Whether the service records a proven gain, and takes a change back on a guard, by itself.
    pub auto_decide: bool,
}

/// TOML has `nan` and `inf`; no limit is one of them.
fn finite<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(serde::de::Error::custom(format!(
            "{number} is no number that anything can be compared with"
        )))
    }
}

impl Default for PdcaConfig {
    fn default() -> Self {
        Self {
            apply_percent: 15.0,
            revert_percent: -5.0,
            continue_percent: 5.0,
            baseline_days: 28,
            auto_decide: false,
        }
    }
}
