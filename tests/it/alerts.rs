//! Alerts from records to receivers: real stores, a local receiver, and a clock of the test's own.

mod built_in;
mod cli;
mod delivery;
mod evaluation;
mod receiver;
mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atalaya::config::{Request, Settings};
use atalaya::domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId};
use atalaya::domain::time::Timestamp;
use atalaya::notify::Notifier;
use atalaya::service::alerts::{Courier, Evaluated, Evaluator};
use atalaya::service::{self, Stores};
use tokio_util::sync::CancellationToken;

/// An instant of the test: 2025-11-30, ten minutes before midnight of UTC. In the past for good, as
/// commands are asked for the present too.
pub const START: i64 = 1_764_547_200 - 600;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

/// Stores and configuration in a folder that is gone with the value.
pub struct Rig {
    pub folder: tempfile::TempDir,
    pub settings: Settings,
    pub stores: Stores,
    position: u64,
}

impl Rig {
    pub async fn new(alerts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = configured(folder.path(), alerts);
        let stores = service::open_to_ingest(&settings).await.unwrap();
        Self {
            folder,
            settings,
            stores,
            position: 0,
        }
    }

    /// As after the end of the process.
    pub async fn restart(&mut self) {
        self.stores = service::open_to_ingest(&self.settings).await.unwrap();
    }

    /// Another configuration.
    pub fn configure(&mut self, alerts: &str) {
        self.settings = configured(self.folder.path(), alerts);
    }

    /// Records of a source, in one frame.
    pub async fn log(&mut self, source: &str, records: impl IntoIterator<Item = (i64, Level)>) {
        let origin = Arc::new(Origin {
            id: OriginId::derive(&[source.as_bytes()]),
            layer: Layer::Application,
            source: source.into(),
            host: "web-1".into(),
        });
        let from = self.position;
        let mut entries = Vec::new();
        for (seconds, level) in records {
            entries.push(Entry {
                timestamp: at(seconds),
                position: self.position,
                level,
                message: format!("<!channel> order {} failed", self.position).into(),
                request_id: Some(RequestId::new(format!("req-{}", self.position))),
                ..Entry::default()
            });
            self.position += 1;
        }
        let frame = Frame {
            origin,
            from,
            until: self.position,
            entries,
        };
        self.stores.logs.append(&[frame]).await.unwrap();
    }

    pub async fn evaluate(&self, seconds: i64) -> Evaluated {
        let evaluator = Evaluator::new(self.stores.clone(), &self.settings);
        let cancel = CancellationToken::new();
        evaluator.evaluate(at(seconds), &cancel).await.unwrap()
    }

    pub fn courier(&self) -> Courier {
        Courier::new(Notifier::open(self.settings.channels()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Without the built-in rules, so that each test sees only its own.
pub fn configured(folder: &Path, alerts: &str) -> Settings {
    let built_in = atalaya::domain::alert::built_in::rules();
    let names: Vec<String> = built_in
        .iter()
        .map(|rule| format!("{:?}", rule.name))
        .collect();
    let text = format!(
        "[ingest]\ndiscover = false\n[alerts]\ndisable = [{}]\nallow_hosts = [\"127.0.0.1\", \"localhost\"]\n{alerts}",
        names.join(", ")
    );
    let file = folder.join("config.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(&Request {
        file: Some(file),
        data_dir: Some(folder.join("data")),
    })
    .unwrap()
}

pub const ERRORS: &str = r#"
[[alerts.rules]]
name = "shop-errors"
measure = { kind = "count", query = "level>=error source:shop", window = "5m" }
when = ">= 10"
severity = "critical"
todo = "look at the shop"
"#;

pub fn webhook(port: u16) -> String {
    format!("[alerts.channels.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hook\"\n")
}
