//! Configuration: files, environment and flags, resolved once into [`Settings`].
//!
//! Later layers win, value by value: built-in defaults, `/etc/atalaya/config.toml`, the user's
//! file (or the one that `--config` names), `ATALAYA_…` variables, flags. Every layer is checked on
//! its own, so that an error names the file, the line or the variable that holds the mistake.

use atalaya_domain::error_class::ErrorClass;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use secrecy::SecretString;

pub mod alerts;
pub mod api;
pub mod backup;
mod file;
mod foreign;
pub mod github;
mod layers;
pub mod places;
pub mod stores;

pub use alerts::{AlertSettings, AlertsConfig, PolicyConfig};
pub use api::{ApiConfig, ApiSettings};
pub use backup::BackupConfig;
pub use file::{
    ConsoleConfig, DoraConfig, FileConfig, IdNamesConfig, IngestConfig, IngestFileConfig,
    JobConfig, PdcaConfig, ReportsConfig, RetentionConfig, ServiceConfig, TargetsConfig,
    UserFormatConfig,
};
pub use github::{GithubConfig, GithubRepositoryConfig};
pub use layers::{Layer, Value};
pub use places::{LogsPlace, MetricsPlace};
pub use stores::{SpoolConfig, StoresConfig};

/// In a directory of made-up data: nothing of it is told to anyone.
const MADE_UP: &str = "made-up";
const MADE_UP_NOTE: &str = "This directory holds the made-up company of `atalaya demo --fill`.
As long as this file is here, alerts over it go to alerts.jsonl beside it and to nobody else.
";

/// What a user wrote that cannot be used; always with the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{place}: {message}")]
    Invalid { place: String, message: String },
    #[error("no home directory is known for this user; name a place with --data-dir and --config")]
    NoHome,
}

impl ConfigError {
    /// Who has to do what before the same succeeds.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

/// What the command line says about configuration.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `--config`: replaces the user's own file, and must exist.
    pub file: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// Everything that was configured, checked and with defaults filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the embedded stores, the checkpoint and the console's state are.
    pub data_dir: PathBuf,
    /// Where the user's themes are looked for (`<name>.toml`).
    pub themes_dir: Option<PathBuf>,
    /// `[stores]` as it was written, for `config show`.
    pub stores: StoresConfig,
    pub logs_place: LogsPlace,
    pub metrics_place: MetricsPlace,
    pub console: ConsoleConfig,
    pub ingest: IngestConfig,
    pub dora: DoraConfig,
    pub github: GithubConfig,
    pub pdca: PdcaConfig,
    pub backup: BackupConfig,
    pub service: ServiceConfig,
    pub retention: RetentionConfig,
    pub reports: ReportsConfig,
    /// `[jobs]` by name; which there are is the workers' to say.
    pub jobs: BTreeMap<String, JobConfig>,
    /// `[alerts]` as it was written, for `config show`.
    pub alerts_config: AlertsConfig,
    pub alerts: AlertSettings,
    pub api: ApiSettings,
    /// Every value that is not a default, with the layer that it came from, for `config show`.
    pub values: Vec<Value>,
}

impl Settings {
    pub fn load(request: &Request) -> Result<Self, ConfigError> {
        let project = ProjectDirs::from("", "", "atalaya");
        // A variable that is not UTF-8 is none of ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
        let loaded = layers::load(&locations(request, project.as_ref()), variables)?;
        let data_dir = match (&request.data_dir, loaded.config.data_dir, &project) {
            (Some(flag), _, _) => flag.clone(),
            (None, Some(configured), _) => configured,
            (None, None, Some(project)) => project.data_dir().to_path_buf(),
            (None, None, None) => return Err(ConfigError::NoHome),
        };
        let (logs_place, metrics_place) =
            places::resolve(&loaded.config.stores, &|name| std::env::var(name).ok())
                .map_err(|mistake| invalid(&loaded.values, "stores", mistake))?;
        let alerts = alerts::resolve(&loaded.config.alerts, loaded.config.policy)
            .map_err(|mistake| invalid(&loaded.values, "alerts", mistake))?;
        alerts::check_names(&loaded.config.reports.channels, &alerts.channels)
            .map_err(|mistake| invalid(&loaded.values, "reports", mistake))?;
        let api = api::resolve(&loaded.config.api)
            .map_err(|mistake| invalid(&loaded.values, "api", mistake))?;
        github::check(&loaded.config.github)
            .map_err(|mistake| invalid(&loaded.values, "github", mistake))?;
        let made_up = data_dir.join(MADE_UP);
        let settings = Self {
            data_dir,
            themes_dir: project
                .as_ref()
                .map(|project| project.config_dir().join("themes")),
            stores: loaded.config.stores,
            logs_place,
            metrics_place,
            console: loaded.config.console,
            ingest: loaded.config.ingest,
            dora: loaded.config.dora,
            github: loaded.config.github,
            pdca: loaded.config.pdca,
            backup: loaded.config.backup,
            service: loaded.config.service,
            retention: loaded.config.retention,
            reports: loaded.config.reports,
            jobs: loaded.config.jobs,
            alerts_config: loaded.config.alerts,
            alerts,
            api,
            values: loaded.values,
        };
        Ok(if made_up.exists() {
            settings.told_to_nobody()
        } else {
            settings
        })
    }

    /// Every channel of messages by its name, with its secrets; or why it cannot be used: a secret
    /// is not there, or others may read it.
    pub fn channels(&self) -> Vec<(String, Result<alerts::ChannelKind, ConfigError>)> {
        let variable = |name: &str| std::env::var(name).ok();
        alerts::channels::resolve(&self.alerts, &self.data_dir, &variable)
            .into_iter()
            .map(|(name, channel)| {
                let wrong = |mistake| invalid(&self.values, "alerts", mistake);
                (name, channel.map_err(wrong))
            })
            .collect()
    }

    /// Whether these can be read from GitHub, beside everything else that is configured for it.
    ///
    /// # Errors
    /// A name is none, or one stands there twice.
    pub fn check_github(&self, repositories: &[GithubRepositoryConfig]) -> Result<(), ConfigError> {
        let config = GithubConfig {
            repositories: repositories.to_vec(),
            ..self.github.clone()
        };
        github::check(&config).map_err(|mistake| invalid(&self.values, "github", mistake))
    }

    /// What GitHub is asked with; `None`: as nobody in particular.
    ///
    /// # Errors
    /// The token is not where it was said to be, or others may read it.
    pub fn github_token(&self) -> Result<Option<SecretString>, ConfigError> {
        github::token(&self.github, &|name| std::env::var(name).ok())
            .map_err(|mistake| invalid(&self.values, "github", mistake))
    }

    /// Where the heartbeat goes, and who may sign for it; `None` when there is none.
    ///
    /// # Errors
    /// A secret is not there, or others may read it.
    pub fn heartbeat(&self) -> Result<Option<(SecretString, Option<PathBuf>)>, ConfigError> {
        let Some(heartbeat) = &self.alerts.heartbeat else {
            return Ok(None);
        };
        let variable = |name: &str| std::env::var(name).ok();
        let url = alerts::channels::url(&heartbeat.address(), &self.alerts, &variable);
        let url =
            url.map_err(|mistake| invalid(&self.values, "alerts", mistake.below("heartbeat")))?;
        Ok(Some((url, heartbeat.ca_file.clone())))
    }

    /// The same with everything in embedded stores of this directory, whatever is configured.
    #[must_use]
    pub fn embedded_in(&self, data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            stores: StoresConfig::default(),
            logs_place: LogsPlace::Embedded,
            metrics_place: MetricsPlace::Embedded,
            ..self.clone()
        }
    }

    /// Marks the directory as one of made-up data, whoever opens it later.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn mark_made_up(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.data_dir)?;
        std::fs::write(self.data_dir.join(MADE_UP), MADE_UP_NOTE)
    }

    /// The same for made-up data: nothing of it is told to anyone, backed up beside the user's, or read
    /// from the user's repository.
    #[must_use]
    pub fn made_up_in(&self, data_dir: PathBuf) -> Self {
        let mut settings = self.embedded_in(data_dir).told_to_nobody();
        settings.backup = BackupConfig::default();
        settings.jobs.clear();
        settings.dora.repository = None;
        settings.github.repositories.clear();
        settings
    }

    /// The same with the rules of made-up data, no channel but the default file, and no heartbeat.
    fn told_to_nobody(mut self) -> Self {
        let rules = AlertsConfig::of_made_up_data();
        if let Ok(alerts) = alerts::resolve(&rules, self.alerts.policy) {
            (self.alerts, self.alerts_config) = (alerts, rules);
        }
        // Whatever its rules are.
        let file = alerts::ChannelConfig::File { path: None };
        self.alerts.channels = BTreeMap::from([("file".to_owned(), file)]);
        self.alerts.heartbeat = None;
        self
    }

    /// Everything as it is in force, defaults and all; holds no password, as no file may.
    pub fn in_force(&self) -> FileConfig {
        FileConfig {
            data_dir: Some(self.data_dir.clone()),
            stores: self.stores.clone(),
            console: self.console.clone(),
            ingest: self.ingest.clone(),
            dora: self.dora.clone(),
            github: self.github.clone(),
            pdca: self.pdca,
            backup: self.backup.clone(),
            alerts: self.alerts_config.clone(),
            policy: self.alerts.policy,
            api: self.api.config.clone(),
            service: self.service.clone(),
            retention: self.retention,
            reports: self.reports.clone(),
            jobs: self.jobs.clone(),
        }
    }

    /// Where backups are kept.
    pub fn backup_dir(&self) -> PathBuf {
        let configured = self.backup.dir.clone();
        configured.unwrap_or_else(|| self.data_dir.join("backups"))
    }

    pub fn logs_database(&self) -> PathBuf {
        self.data_dir.join("logs.db")
    }

    pub fn metrics_database(&self) -> PathBuf {
        self.data_dir.join("metrics.db")
    }

    /// Checkpoints and the lock of the ingest.
    pub fn ingest_state_dir(&self) -> PathBuf {
        self.data_dir.join("ingest")
    }
}

/// A mistake below a table, with the layer that it stands in.
fn invalid(values: &[Value], table: &str, mistake: places::Mistake) -> ConfigError {
    let key = format!("{table}.{}", mistake.key);
    // A mistake within a list is the list's; of what is not there, that of its table.
    let list = key.split(['[', ' ']).next().unwrap_or_default();
    let (parent, _) = list.rsplit_once('.').unwrap_or_default();
    let beside = |value: &&Value| {
        let within = value.key.strip_prefix(parent);
        !parent.is_empty() && within.is_some_and(|rest| rest.starts_with('.'))
    };
    let found = values
        .iter()
        .find(|value| value.key == key || value.key == list)
        .or_else(|| values.iter().find(beside));
    let place = match found {
        Some(value) => format!("{}: {key}", value.layer),
        None => key,
    };
    ConfigError::Invalid {
        place,
        message: mistake.message,
    }
}

/// One file that may hold configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub path: PathBuf,
    /// Named by the user, so that its absence is an error.
    pub required: bool,
}

/// The files that are read, in order; absent ones are passed over unless the user named them.
pub fn locations(request: &Request, project: Option<&ProjectDirs>) -> Vec<Location> {
    let system = Location {
        path: Path::new("/etc/atalaya/config.toml").to_path_buf(),
        required: false,
    };
    let own = match (&request.file, project) {
        (Some(named), _) => Some(Location {
            path: named.clone(),
            required: true,
        }),
        (None, Some(project)) => Some(Location {
            path: project.config_dir().join("config.toml"),
            required: false,
        }),
        (None, None) => None,
    };
    std::iter::once(system).chain(own).collect()
}

/// [`locations`] with this user's directories.
pub fn user_locations(request: &Request) -> Vec<Location> {
    locations(request, ProjectDirs::from("", "", "atalaya").as_ref())
}
