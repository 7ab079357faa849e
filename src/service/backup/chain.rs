//! An archive with everything that it builds on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::buckets::{self, States};
use super::{BackupError, Stage, Work, blocking, folder_error};
use atalaya_archive::{self as archive, Checked, Identities};
use atalaya_domain::backup::{ArchiveName, BUCKETS, LOGS, LogsSum, Manifest};
use atalaya_store::chunks::ChunkStore;
use atalaya_store::sqlite::chunks::{SqliteChunkStore, examine};
use atalaya_store::view::View;

/// Archives that were read to their ends and belong together.
pub(super) struct Chain {
    /// Oldest first; the last one is that which was asked for.
    pub archives: Vec<(PathBuf, Checked)>,
    identities: Identities,
}

impl Chain {
    /// Finds what the archive builds on beside it, and reads all of them; writes nothing.
    pub async fn checked(
        path: &Path,
        identities: &Identities,
        work: &Work,
    ) -> Result<Self, BackupError> {
        let (path, keys, work) = (path.to_owned(), identities.clone(), work.clone());
        blocking(move || {
            let manifest = archive::manifest(&path, &keys)?;
            let paths = paths(&path, &manifest)?;
            let total = paths
                .iter()
                .map(|path| std::fs::metadata(path).map_or(0, |file| file.len()))
                .sum();
            // Bytes of the parts and of the files are not the same, but nearly.
            let watch = work.bytes(Stage::Checking, total);
            let archives = paths
                .into_iter()
                .map(|path| {
                    let checked = archive::check(&path, &keys, &watch)?;
                    Ok((path, checked))
                })
                .collect::<Result<Vec<_>, archive::ArchiveError>>()?;
            let chain = Self {
                archives,
                identities: keys,
            };
            chain.belongs_together()?;
            Ok(chain)
        })
        .await
    }

    pub fn last(&self) -> &Checked {
        // `paths` ends with the archive itself.
        &self.archives[self.archives.len() - 1].1
    }

    pub fn manifest(&self) -> &Manifest {
        &self.last().manifest
    }

    pub fn name(&self) -> &str {
        &self.manifest().name
    }

    fn belongs_together(&self) -> Result<(), BackupError> {
        let manifest = self.manifest();
        for ((_, checked), link) in self.archives.iter().zip(&manifest.chain) {
            if checked.seal != link.seal {
                return Err(BackupError::wrong(
                    &manifest.name,
                    format!("{} is not the one that it builds on", link.name),
                ));
            }
        }
        for (at, (_, checked)) in self.archives.iter().enumerate() {
            let of_one = |manifest: &Manifest| {
                manifest
                    .logs
                    .as_ref()
                    .map(|logs| (logs.store.clone(), logs.bucket_minutes))
            };
            if checked.manifest.chain != manifest.chain[..at]
                || (at < manifest.chain.len() && of_one(&checked.manifest) != of_one(manifest))
            {
                return Err(BackupError::wrong(
                    &manifest.name,
                    format!("{} is of another chain", checked.manifest.name),
                ));
            }
        }
        Ok(())
    }

    /// Writes parts of one archive into a new folder.
    pub async fn unpack(
        &self,
        at: usize,
        into: &Path,
        wanted: impl Fn(&str) -> bool + Send + 'static,
        work: &Work,
    ) -> Result<(), BackupError> {
        let (path, checked) = self.archives[at].clone();
        let total = checked.manifest.parts.iter().map(|part| part.bytes).sum();
        let (keys, into) = (self.identities.clone(), into.to_owned());
        let watch = work.bytes(Stage::Unpacking, total);
        blocking(move || {
            std::fs::create_dir_all(&into).map_err(folder_error(&into))?;
            let again = archive::extract(&path, &keys, &into, &wanted, &watch)?;
            if again.seal != checked.seal {
                return Err(BackupError::wrong(
                    &checked.manifest.name,
                    "it was changed while it was read",
                ));
            }
            Ok(())
        })
        .await
    }

    /// The list of where every bucket is, out of the unpacked last archive.
    pub async fn states(&self, unpacked: &Path) -> Result<States, BackupError> {
        let manifest = self.manifest().clone();
        let Some(logs) = manifest.logs else {
            return Ok(States::new());
        };
        let (folder, links) = (unpacked.to_owned(), manifest.chain.len());
        blocking(move || {
            let states = buckets::read(&folder, &manifest.name, links)?;
            if LogsSum::of(states.values()) != logs.total {
                return Err(BackupError::wrong(
                    &manifest.name,
                    "its list of buckets is not what its manifest says",
                ));
            }
            Ok(states)
        })
        .await
    }

    /// What the chain gives, as one store, out of the unpacked archives.
    pub async fn view(
        &self,
        unpacked: &[PathBuf],
        states: &States,
    ) -> Result<Arc<dyn ChunkStore>, BackupError> {
        let mut stores: Vec<Arc<dyn ChunkStore>> = Vec::new();
        for folder in unpacked {
            let file = folder.join(LOGS);
            examine(&file).await?;
            stores.push(Arc::new(SqliteChunkStore::open(&file).await?));
        }
        let places: BTreeMap<_, _> = states
            .iter()
            .map(|(bucket, state)| (*bucket, state.link as usize))
            .collect();
        let records = states.values().map(|state| state.records).sum();
        let name = format!("the backup {}", self.last().seal);
        Ok(Arc::new(View::new(stores, places, name, records)))
    }
}

/// The archives of a chain, oldest first.
fn paths(path: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, BackupError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    if !manifest.chain.is_empty() {
        for entry in std::fs::read_dir(folder).map_err(folder_error(folder))? {
            let entry = entry.map_err(folder_error(folder))?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .and_then(|name| name.parse::<ArchiveName>().ok());
            found.extend(name.map(|name| (name.name, entry.path())));
        }
    }
    let mut paths = Vec::new();
    for link in &manifest.chain {
        let path = found.remove(&link.name);
        paths.push(path.ok_or_else(|| BackupError::Incomplete {
            name: manifest.name.clone(),
            missing: link.name.clone(),
        })?);
    }
    paths.push(path.to_owned());
    Ok(paths)
}

/// Which parts of a link that is not the last are of use.
pub(super) fn is_of_a_link(part: &str) -> bool {
    part == LOGS || part == BUCKETS
}
