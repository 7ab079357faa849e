//! The table of built-in formats, and those that the configuration defines.

use std::sync::OnceLock;

use super::{
    Format, apache_access, apache_error, compose, cri, docker_json, dpkg, elasticsearch, glog, humanlog,
    journald, json, log4j, logfmt, mysql_error, mysql_slow, nginx_access, nginx_error, plain, postgresql,
    postgresql_csv, postgresql_json, python, structlog, syslog, traefik,
    user_defined::{Definition, DefinitionError, UserDefined},
    uwsgi,
};

/// In the order of detection: strict and particular formats first, text that anything fits last.
/// Where two formats read the same number of lines, the earlier one is taken.
static FORMATS: &[&dyn Format] = &[
    &nginx_access::NginxAccess,
    &apache_access::ApacheAccess,
    &traefik::Traefik,
    &nginx_error::NginxError,
    &apache_error::ApacheError,
    &journald::Journald,
    &elasticsearch::Elasticsearch,
    &uwsgi::Uwsgi,
    &glog::Glog,
    &syslog::Syslog,
    &dpkg::Dpkg,
    &compose::Compose,
    &cri::Cri,
    &docker_json::DockerJson,
    &postgresql_json::PostgresqlJson,
    &json::Json,
    &postgresql_csv::PostgresqlCsv,
    &mysql_slow::MysqlSlow,
    &postgresql::Postgresql,
    &structlog::Structlog,
    &python::Python,
    &log4j::Log4j,
    &humanlog::Humanlog,
    &mysql_error::MysqlError,
    &logfmt::Logfmt,
    // Last: it reads everything.
    &plain::Plain,
];

/// The built-in formats behind those of the configuration, once there are some.
static WITH_DEFINED: OnceLock<Vec<&'static dyn Format>> = OnceLock::new();

/// All formats, in the order in which detection tries them.
pub fn all() -> &'static [&'static dyn Format] {
    WITH_DEFINED.get().map_or(FORMATS, Vec::as_slice)
}

/// The format with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    all().iter().copied().find(|format| format.name() == name)
}

/// Names as `--format` takes them, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|format| format.name())
}

/// Adds the formats of the configuration, which detection then tries first. Once in the life of
/// the program, before any file is read.
pub fn define(definitions: Vec<Definition>) -> Result<(), DefinitionError> {
    let mut formats: Vec<&'static dyn Format> = Vec::with_capacity(definitions.len() + FORMATS.len());
    for definition in definitions {
        let taken = |format: &&'static dyn Format| format.name() == definition.name;
        if formats.iter().any(taken) || FORMATS.iter().any(taken) {
            return Err(DefinitionError::NameTaken { name: definition.name });
        }
        formats.push(UserDefined::new(definition)?);
    }
    formats.extend(FORMATS);
    WITH_DEFINED.set(formats).map_err(|_| DefinitionError::DefinedTwice)
}
