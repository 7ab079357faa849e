//! From the configuration to a running ingest: formats, zones and globs resolved once, and this
//! machine's own logs when nothing is configured.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{IdNamesConfig, IngestFileConfig, Settings};
use atalaya_domain::record::Layer;
use atalaya_domain::time::Timestamp;
use atalaya_format::explain::Explanation;
use atalaya_format::user_defined::Definition;
use atalaya_format::{Shape, SourceZone, TimeHint, registry};
use atalaya_ingest::FrameSink;
use atalaya_ingest::content::{self, Content, Got};
use atalaya_ingest::discover::discover;
use atalaya_ingest::rotation::RotatedName;
use atalaya_ingest::spool::{self, SpoolConfig, SpooledSink};
use atalaya_ingest::{IngestConfig, IngestError, IngestInput, Mode, Unread};
use atalaya_query::suggest;
use atalaya_store::engine::LogEngine;
use atalaya_store::error::Backend;

/// Where a Unix machine keeps its logs.
const SYSTEM_LOGS: &str = "/var/log";
/// An input that was asked for in words that mean nothing; always with the words that would.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InputError(pub String);

/// What is to be read, and what was found but cannot be.
#[derive(Debug)]
pub struct Plan {
    pub config: IngestConfig,
    pub passed_over: Vec<Unread>,
}

/// Resolves the configured inputs; with none, looks for this machine's logs. Reads directories, so
/// call it where blocking is allowed.
pub fn plan(settings: &Settings, host: &str) -> Result<Plan, InputError> {
    let zone = settings
        .ingest
        .timezone
        .as_deref()
        .map_or(Ok(SourceZone::Local), parse_zone)?;
    let mut inputs = settings
        .ingest
        .files
        .iter()
        .map(|file| input(file, zone))
        .collect::<Result<Vec<_>, _>>()?;
    let mut passed_over = Vec::new();
    if inputs.is_empty() && settings.ingest.discover {
        let found = discover(Path::new(SYSTEM_LOGS));
        inputs = found
            .inputs
            .into_iter()
            .map(|input| IngestInput { zone, ..input })
            .collect();
        passed_over = found
            .passed_over
            .into_iter()
            .map(|(path, reason)| Unread::passed_over(path, reason))
            .collect();
    }
    let config = IngestConfig {
        old_dirs: settings.ingest.old_dirs.clone(),
        ..IngestConfig::new(inputs, settings.ingest_state_dir(), host, Mode::Follow)
    };
    Ok(Plan {
        config,
        passed_over,
    })
}

fn input(file: &IngestFileConfig, default_zone: SourceZone) -> Result<IngestInput, InputError> {
    let in_file =
        |error: InputError| InputError(format!("[[ingest.files]] {}: {error}", file.path));
    Ok(IngestInput {
        pattern: file.path.clone(),
        file: None,
        format: file
            .format
            .as_deref()
            .map(find_format)
            .transpose()
            .map_err(in_file)?,
        source: file.source.as_deref().map(Into::into),
        layer: file
            .layer
            .as_deref()
            .map(Layer::from_str)
            .transpose()
            .map_err(InputError)
            .map_err(in_file)?,
        zone: file
            .timezone
            .as_deref()
            .map_or(Ok(default_zone), parse_zone)
            .map_err(in_file)?,
    })
}

/// Makes the formats of the configuration and its names of ids known, before any file is read.
pub fn define_formats(settings: &Settings) -> Result<(), InputError> {
    let ids = &settings.ingest.ids;
    if *ids != IdNamesConfig::default() {
        atalaya_format::ids::configure(&ids.request, &ids.user, &ids.session)
            .map_err(|error| InputError(format!("[ingest.ids] {error}")))?;
    }
    if settings.ingest.formats.is_empty() {
        return Ok(());
    }
    let definitions = settings
        .ingest
        .formats
        .iter()
        .map(|(name, format)| {
            let layer = format
                .layer
                .as_deref()
                .map_or(Ok(Layer::Application), Layer::from_str);
            Ok(Definition {
                name: name.clone(),
                pattern: format.pattern.clone(),
                time_format: format.time_format.clone(),
                source: format.source.clone(),
                layer: layer
                    .map_err(|error| InputError(format!("[ingest.formats.{name}] {error}")))?,
            })
        })
        .collect::<Result<_, InputError>>()?;
    registry::define(definitions).map_err(|error| InputError(format!("[ingest.formats] {error}")))
}

/// The format with this name, or an error with the likely one and the list.
pub fn find_format(name: &str) -> Result<Shape, InputError> {
    atalaya_format::by_name(name).ok_or_else(|| {
        let likely = suggest::nearest(name, atalaya_format::names())
            .map(|known| format!("; did you mean `{known}`?"))
            .unwrap_or_default();
        let names: Vec<&str> = atalaya_format::names().collect();
        InputError(format!(
            "unknown format `{name}`{likely} The formats are: {}",
            names.join(", ")
        ))
    })
}

/// How much of a file is looked at to explain how it is read.
const EXPLAINED_BYTES: usize = 1 << 20;

/// Why the lines of a file are read as they are: looks at its first mebibyte, unpacked. Blocking.
///
/// # Errors
/// The file cannot be opened or unpacked.
pub fn explain(input: &IngestInput) -> Result<Explanation, InputError> {
    let path = input.path();
    let refused =
        |error: std::io::Error| InputError(format!("cannot read {}: {error}", path.display()));
    let file = content::open_file(path).map_err(refused)?;
    let modified = file.metadata().map_err(refused)?.mtime();
    let mut content =
        Content::of(file, RotatedName::of(&path.to_string_lossy()).packing).map_err(refused)?;
    let mut bytes = vec![0; EXPLAINED_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match content
            .read_at(filled as u64, &mut bytes[filled..])
            .map_err(refused)?
        {
            Got::Bytes(size) => filled += size,
            Got::Nothing | Got::End => break,
        }
    }
    bytes.truncate(filled);
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    if filled == EXPLAINED_BYTES && lines.len() > 1 {
        lines.pop(); // half a line tells nothing
    }
    let hint = TimeHint {
        reference: Timestamp::from_seconds(modified),
        zone: input.zone,
    };
    Ok(atalaya_format::explain::explain(path, &lines, &hint))
}

/// `UTC`, `local`, an IANA name (`Europe/Madrid`) or an offset (`+02:00`).
pub fn parse_zone(text: &str) -> Result<SourceZone, InputError> {
    if text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Ok(SourceZone::Utc);
    }
    if text.eq_ignore_ascii_case("local") {
        return Ok(SourceZone::Local);
    }
    if let Ok(offset) = chrono::FixedOffset::from_str(text) {
        return Ok(SourceZone::Fixed(offset));
    }
    chrono_tz::Tz::from_str(text).map(SourceZone::Named).map_err(|_| {
        InputError(format!("unknown time zone `{text}`; use `UTC`, `local`, an IANA name such as `Europe/Madrid`, or `+02:00`"))
    })
}

/// Where the frames go: the log store, behind the spool where that is configured. An embedded store
/// is a file on the same disk, so by default it has none.
pub async fn sink(settings: &Settings, logs: LogEngine) -> Result<Arc<dyn FrameSink>, IngestError> {
    let dir = settings.ingest_state_dir().join("spool");
    let configured = settings.ingest.spool;
    let is_wanted = configured
        .enabled
        .unwrap_or(logs.store().backend() != Backend::Sqlite);
    let runtime = tokio::runtime::Handle::current();
    // Opening reads a directory and a segment: nothing for the threads of the runtime.
    let opened = tokio::task::spawn_blocking(move || {
        let _runtime = runtime.enter();
        // What an earlier run left behind goes the way it was meant to go.
        if !is_wanted && !spool::holds_records(&dir) {
            spool::forget(&dir)?;
            return Ok(Arc::new(logs) as Arc<dyn FrameSink>);
        }
        let config = SpoolConfig {
            keep: Duration::from_secs(configured.keep_seconds),
            ..SpoolConfig::with_size(dir, configured.max_bytes)
        };
        Ok(Arc::new(SpooledSink::open(config, Arc::new(logs))?) as Arc<dyn FrameSink>)
    });
    opened.await.map_err(|_| IngestError::Died)?
}

/// Where frames of a stream go. A stream is read once and by one reader, so that it needs nothing
/// of the state that a follower holds; while another process has the spool, its frames go to the
/// store directly.
///
/// # Errors
/// The spool cannot be used, for another reason than that.
pub async fn stream_sink(
    settings: &Settings,
    logs: LogEngine,
) -> Result<Arc<dyn FrameSink>, IngestError> {
    match sink(settings, logs.clone()).await {
        Err(IngestError::Locked { .. }) => Ok(Arc::new(logs)),
        opened => opened,
    }
}

/// The directory of one stream's state, beside that of the files: the same for the same key, so
/// that two runs with one key exclude each other; otherwise removed with the value.
///
/// # Errors
/// It cannot be made.
pub fn stream_folder(state_dir: &Path, key: Option<&str>) -> Result<StreamFolder, IngestError> {
    let streams = state_dir.join("streams");
    let failed = |source| IngestError::StateDir {
        dir: streams.clone(),
        source,
    };
    std::fs::create_dir_all(&streams).map_err(failed)?;
    match key {
        Some(key) => {
            let name = blake3::hash(key.as_bytes()).to_hex();
            Ok(StreamFolder::Kept(streams.join(name.as_str())))
        }
        None => tempfile::tempdir_in(&streams)
            .map(StreamFolder::Removed)
            .map_err(failed),
    }
}

/// See [`stream_folder`].
#[derive(Debug)]
pub enum StreamFolder {
    Kept(PathBuf),
    Removed(tempfile::TempDir),
}

impl StreamFolder {
    pub fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Removed(folder) => folder.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_unknown_format_suggests_the_likely_one() {
        let message = find_format("nginx-acces").unwrap_err().to_string();
        assert!(
            message.contains("did you mean `nginx-access`?"),
            "{message}"
        );
        assert!(message.contains("nginx-error"), "{message}");
    }

    #[test]
    fn zones_are_read_in_every_spelling() {
        assert_eq!(parse_zone("utc").unwrap(), SourceZone::Utc);
        assert_eq!(
            parse_zone("Europe/Madrid").unwrap(),
            SourceZone::Named(chrono_tz::Europe::Madrid)
        );
        assert_eq!(
            parse_zone("-02:00").unwrap(),
            SourceZone::Fixed(chrono::FixedOffset::west_opt(7_200).unwrap())
        );
        assert!(
            parse_zone("Mars/Olympus")
                .unwrap_err()
                .to_string()
                .contains("Europe/Madrid")
        );
    }

    #[test]
    fn a_wrong_layer_names_the_entry() {
        let file = IngestFileConfig {
            path: "/srv/app.log".to_owned(),
            format: None,
            source: None,
            layer: Some("metrics".to_owned()),
            timezone: None,
        };
        let message = input(&file, SourceZone::Utc).unwrap_err().to_string();
        assert!(
            message.contains("/srv/app.log") && message.contains("`app` and `infra`"),
            "{message}"
        );
    }
}
