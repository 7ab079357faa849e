//! The folder of backups: which archives are in it, and who may read them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{BackupError, blocking, folder_error};
use crate::config::Settings;
use crate::text_file;
use atalaya_archive::{self as archive, Identities, Recipients};
use atalaya_domain::backup::{ArchiveName, BackupRecord, Manifest};
use atalaya_store::metrics::MetricsStore;

/// An identity is 74 letters, and a file may name some.
const MOST_IDENTITY: u64 = 64 << 10;

/// Where the archives are, and the keys to them.
#[derive(Clone, Debug)]
pub struct Place {
    pub dir: PathBuf,
    pub recipients: Recipients,
    pub identities: Identities,
}

impl Place {
    /// As `[backup]` says; `identity` replaces its `identity_file`. Blocks for a small file.
    pub fn configured(settings: &Settings, identity: Option<&Path>) -> Result<Self, BackupError> {
        let config = &settings.backup;
        let recipients = Recipients::parse(config.recipients.iter().map(String::as_str));
        let identities = match identity.or(config.identity_file.as_deref()) {
            None => Identities::default(),
            Some(path) => identities(path)?,
        };
        Ok(Self {
            dir: settings.backup_dir(),
            recipients: recipients.map_err(|source| BackupError::Key {
                key: "backup.recipients".to_owned(),
                source,
            })?,
            identities,
        })
    }

    /// What is written here cannot be read here: it is encrypted, and no identity is configured.
    pub fn is_for_others(&self) -> bool {
        !self.recipients.is_empty() && self.identities.is_empty()
    }

    /// Everything in the folder that is called like an archive, newest first. Blocks.
    pub fn archives(&self) -> Result<Vec<(ArchiveName, PathBuf)>, BackupError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(folder_error(&self.dir)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(folder_error(&self.dir))?;
            let name = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(name) = name {
                found.push((name, entry.path()));
            }
        }
        found.sort_by(|one: &(ArchiveName, _), other| other.0.cmp(&one.0));
        Ok(found)
    }

    /// The archive that somebody means: a path, the name of a backup or of its file; the newest
    /// without one. Blocks.
    pub fn find(&self, wanted: Option<&str>) -> Result<PathBuf, BackupError> {
        if let Some(path) = wanted
            .map(Path::new)
            .filter(|path| path.components().count() > 1)
        {
            return Ok(path.to_owned());
        }
        let found = self.archives()?.into_iter().find(|(name, _)| {
            wanted.is_none_or(|wanted| wanted == name.name || wanted == name.to_string())
        });
        found.map(|(_, path)| path).ok_or_else(|| {
            let dir = self.dir.clone();
            match wanted {
                Some(name) => BackupError::Unknown {
                    name: name.to_owned(),
                    dir,
                },
                None => BackupError::NoBackup { dir },
            }
        })
    }
}

fn identities(path: &Path) -> Result<Identities, BackupError> {
    let shown = path.display();
    let unreadable = |error| BackupError::Identity(format!("cannot read {shown}: {error}"));
    let file = text_file::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BackupError::Identity(format!(
            "others may read {shown} (mode {mode:04o}); it must have mode 0600: `chmod 600 {shown}`"
        )));
    }
    let text = SecretString::from(text_file::read(path, MOST_IDENTITY).map_err(unreadable)?);
    Identities::parse(&text).map_err(|source| BackupError::Key {
        key: shown.to_string(),
        source,
    })
}

/// One archive of the folder, and what is known of it.
#[derive(Debug)]
pub struct Listed {
    pub name: ArchiveName,
    pub path: PathBuf,
    pub bytes: u64,
    /// Why there is none: it is encrypted, or damaged.
    pub manifest: Result<Manifest, String>,
    /// What the metrics store remembers of it.
    pub record: Option<BackupRecord>,
}

/// The archives of the folder, newest first; only their manifests are read. Without the metrics
/// store, nothing is known of when they were verified.
pub async fn list(
    place: &Place,
    metrics: Option<&dyn MetricsStore>,
) -> Result<Vec<Listed>, BackupError> {
    let records = match metrics {
        Some(metrics) => metrics.backups().await?,
        None => Vec::new(),
    };
    let place = place.clone();
    blocking(move || {
        let listed = place.archives()?.into_iter().map(|(name, path)| Listed {
            bytes: fs::metadata(&path).map_or(0, |file| file.len()),
            manifest: archive::manifest(&path, &place.identities)
                .map_err(|error| crate::service::describe(&error)),
            record: records
                .iter()
                .find(|record| record.name == name.name)
                .cloned(),
            name,
            path,
        });
        Ok(listed.collect())
    })
    .await
}
