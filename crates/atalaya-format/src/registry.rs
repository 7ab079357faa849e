//! The table of built-in formats and envelopes, and the formats that the configuration defines.

use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::packed::Searcher;
use atalaya_domain::record::{Layer, Text};

use super::{
    Envelope, Format, FormatSpec, Signs, apache_access, apache_error, app_line, apt_history, aws,
    cloud_json, compose, crash, cri, docker_json, dotnet, dpkg, elasticsearch, envoy, erlang, gin,
    glog, go_log, haproxy, hclog, humanlog, journald, json, jul, lambda, log_stream, log4j, logcat,
    logfmt, logplex, logrus, mongodb, monolog, mssql, mysql_error, mysql_slow, nginx_access,
    nginx_error, node, php, postgresql, postgresql_csv, postgresql_json, python, rails, redis,
    ruby, rust_tracing, squid, stern, structlog, syslog, traefik,
    user_defined::{Definition, DefinitionError, UserDefined},
    uvicorn, uwsgi, w3c, windows_setup, zap, zerolog,
};

/// What is taken off before anything is read. The first that opens a line has it.
static ENVELOPES: &[&dyn Envelope] = &[
    &journald::Journald,
    &docker_json::DockerJson,
    &cloud_json::CloudJson,
    &cri::Cri,
    &logplex::Logplex,
    &compose::Compose,
    &stern::PodPrefix,
    &syslog::Vmware,
    &syslog::Syslog,
    &log_stream::LogStream,
];

/// Where several formats read a line strictly the earlier one has it, whatever the rest of the file
/// holds: those that pin most of a line stand first.
static FORMATS: &[&dyn Format] = &[
    &nginx_access::NginxAccess,
    &apache_access::ApacheAccess,
    &traefik::Traefik,
    &haproxy::Haproxy,
    &envoy::Envoy,
    &aws::Elb,
    &aws::S3Access,
    &squid::Squid,
    &uvicorn::Uvicorn,
    &uvicorn::Werkzeug,
    &rails::Rails,
    &gin::Gin,
    &nginx_error::NginxError,
    &apache_error::ApacheError,
    &w3c::W3c,
    &elasticsearch::Elasticsearch,
    &uwsgi::Uwsgi,
    &glog::Glog,
    &dpkg::Dpkg,
    &redis::Redis,
    &logcat::Logcat,
    &jul::Jul,
    &dotnet::DotnetConsole,
    &php::Php,
    &monolog::Monolog,
    &ruby::Ruby,
    &ruby::RailsTagged,
    &ruby::Sidekiq,
    &erlang::Erlang,
    &lambda::Lambda,
    &zap::Zap,
    &mongodb::Mongodb,
    &mssql::Mssql,
    &windows_setup::WindowsSetup,
    &logrus::Logrus,
    &node::Node,
    &json::otlp::Otlp,
    &apt_history::AptHistory,
    &python::Uvicorn,
    &postgresql_json::PostgresqlJson,
    &json::Json,
    &postgresql_csv::PostgresqlCsv,
    &mysql_slow::MysqlSlow,
    &postgresql::Postgresql,
    &mysql_error::MysqlError,
    &structlog::Structlog,
    &zerolog::Zerolog,
    &hclog::Hclog,
    &rust_tracing::RustTracing,
    &go_log::GoLog,
    &python::Python,
    &log4j::Log4j,
    &humanlog::Humanlog,
    &crash::Crash,
    &app_line::AppLine,
    &logfmt::Logfmt,
    &json::JsonAfterText,
];

/// What a file can be read as, when somebody names it.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Format(&'static dyn Format),
    Envelope(&'static dyn Envelope),
    /// Text in no format: a stamp and a level where there are some.
    Plain,
}

impl Shape {
    pub fn spec(self) -> &'static FormatSpec {
        match self {
            Self::Format(format) => format.spec(),
            Self::Envelope(envelope) => envelope.spec(),
            Self::Plain => &super::plain::SPEC,
        }
    }

    pub fn name(self) -> &'static str {
        self.spec().name
    }

    pub fn default_source(self) -> &'static str {
        self.spec().source
    }

    /// The source of the records of a file: the format's own, or the file's name where no format
    /// reads it (`apt/term`, `myapp`).
    pub fn source_in(self, path: &Path) -> Text {
        let Self::Plain = self else {
            return self.default_source().into();
        };
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        let after_log = parts
            .iter()
            .rposition(|part| matches!(*part, "log" | "logs"))
            .map_or(0, |at| at + 1);
        let Some((name, folders)) = parts.split_last() else {
            return self.default_source().into();
        };
        // A rotated file has the source of the one that it was: `history.log.2.gz` is `history`.
        let stem = name.split(".log").next().unwrap_or(name);
        let stem = stem.split_once('.').map_or(stem, |(stem, _)| stem);
        if stem.is_empty() || *name == "-" {
            return self.default_source().into();
        }
        let folders = if after_log == 0 {
            &[][..]
        } else {
            folders.get(after_log..).unwrap_or(&[])
        };
        let mut source = folders.join("/");
        if !source.is_empty() {
            source.push('/');
        }
        source.push_str(stem);
        source.into()
    }

    pub fn default_layer(self) -> Layer {
        self.spec().layer
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

/// The formats, with an index by the first byte of a line.
struct Table {
    formats: Vec<&'static dyn Format>,
    by_byte: Vec<Vec<Candidate>>,
}

/// A format that may read a line.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// What must stand in a line before the format is asked.
    pub needs: Signs,
    pub format: &'static dyn Format,
}

impl Table {
    fn new(formats: Vec<&'static dyn Format>) -> Self {
        let candidates = |byte| {
            let begun = formats
                .iter()
                .filter(move |format| format.spec().begins.has(byte));
            begun
                .map(|&format| Candidate {
                    needs: format.needs(),
                    format,
                })
                .collect()
        };
        let by_byte = (0..=u8::MAX).map(candidates).collect();
        Self { formats, by_byte }
    }
}

static BUILT_IN: LazyLock<Table> = LazyLock::new(|| Table::new(FORMATS.to_vec()));

/// The built-in formats behind those of the configuration, once there are some.
static WITH_DEFINED: OnceLock<Table> = OnceLock::new();

fn table() -> &'static Table {
    WITH_DEFINED.get().unwrap_or(&BUILT_IN)
}

/// All formats, in order.
pub fn formats() -> &'static [&'static dyn Format] {
    &table().formats
}

/// The formats of which a record can begin with a line, as far as its first byte says, in order.
pub fn candidates(line: &str) -> &'static [Candidate] {
    by_first(&table().by_byte, line)
}

fn by_first<T>(index: &'static [Vec<T>], line: &str) -> &'static [T] {
    let first = line.as_bytes().first().copied().unwrap_or(0);
    index.get(usize::from(first)).map_or(&[], Vec::as_slice)
}

/// The envelopes that a line may have, as far as its first byte says, in order.
pub fn envelopes_of(line: &str) -> &'static [&'static dyn Envelope] {
    static BY_BYTE: LazyLock<Vec<Wrappers>> =
        LazyLock::new(|| (0..=u8::MAX).map(Wrappers::begun_with).collect());
    let first = line.as_bytes().first().copied().unwrap_or(0);
    let Some(wrappers) = BY_BYTE.get(usize::from(first)) else {
        return &[];
    };
    match &wrappers.marks {
        Some(marks) if marks.find(line).is_none() => &[],
        _ => &wrappers.envelopes,
    }
}

/// The envelopes that begin with one byte.
struct Wrappers {
    envelopes: Vec<&'static dyn Envelope>,
    /// The marks of all of them, where each has some: one pass instead of one for each.
    marks: Option<Searcher>,
}

impl Wrappers {
    fn begun_with(byte: u8) -> Self {
        let begun = |envelope: &&'static dyn Envelope| envelope.spec().begins.has(byte);
        let envelopes: Vec<_> = ENVELOPES.iter().copied().filter(begun).collect();
        let marked = envelopes
            .iter()
            .all(|envelope| !envelope.marks().is_empty());
        let marks = || Searcher::new(envelopes.iter().flat_map(|envelope| envelope.marks()));
        let marks = (marked && !envelopes.is_empty()).then(marks).flatten();
        Self { envelopes, marks }
    }
}

/// All envelopes, in order.
pub fn envelopes() -> &'static [&'static dyn Envelope] {
    ENVELOPES
}

/// Everything that a file can be read as, plain text last.
pub fn all() -> impl Iterator<Item = Shape> {
    let formats = formats().iter().map(|&format| Shape::Format(format));
    formats
        .chain(ENVELOPES.iter().map(|&envelope| Shape::Envelope(envelope)))
        .chain([Shape::Plain])
}

/// What has this name.
pub fn by_name(name: &str) -> Option<Shape> {
    all().find(|shape| shape.name() == name)
}

/// Names as `--format` takes them, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(Shape::name)
}

/// Adds the formats of the configuration, which come before the built-in ones. Once in the life of
/// the program, before any file is read.
pub fn define(definitions: Vec<Definition>) -> Result<(), DefinitionError> {
    let mut formats: Vec<&'static dyn Format> =
        Vec::with_capacity(definitions.len() + FORMATS.len());
    for definition in definitions {
        let is_defined = |format: &&'static dyn Format| format.spec().name == definition.name;
        let is_built_in = ENVELOPES
            .iter()
            .any(|envelope| envelope.spec().name == definition.name)
            || FORMATS.iter().any(is_defined)
            || definition.name == super::plain::SPEC.name;
        if is_built_in || formats.iter().any(is_defined) {
            return Err(DefinitionError::NameTaken {
                name: definition.name,
            });
        }
        formats.push(UserDefined::new(definition)?);
    }
    formats.extend(FORMATS);
    WITH_DEFINED
        .set(Table::new(formats))
        .map_err(|_| DefinitionError::DefinedTwice)
}

#[cfg(test)]
mod tests;
