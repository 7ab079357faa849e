//! `[github]`: which repositories are read from GitHub, and with which token.

use std::collections::BTreeSet;
use std::path::PathBuf;

use globset::Glob;
use reqwest::Url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::places::{self, Mistake};

/// The variable that other tools read, too.
const TOKEN: &str = "GITHUB_TOKEN";
/// The same from systemd (`LoadCredential=atalaya:…`).
const CREDENTIAL: &str = "atalaya_github_token";
const HISTORY_DAYS: std::ops::RangeInclusive<u32> = 1..=3_650;

/// `[github]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GithubConfig {
    /// The API's address; `https://HOST/api/v3` of a server of one's own. Nothing else is asked.
    pub base_url: String,
    /// Name of the variable that holds the token; absent: `GITHUB_TOKEN`.
    pub token_env: Option<String>,
    /// Holds the token and nothing else; for its owner only (mode 0600).
    pub token_file: Option<PathBuf>,
    /// PEM: who may sign the server's certificate, beside those that this system trusts.
    pub ca_file: Option<PathBuf>,
    /// Issues with one of these labels are incidents; none: issues are not read.
    pub incident_labels: Vec<String>,
    /// How far back the first reading goes.
    pub history_days: u32,
    pub repositories: Vec<GithubRepositoryConfig>,
}

impl Default for GithubConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.github.com".to_owned(),
            token_env: None,
            token_file: None,
            ca_file: None,
            incident_labels: vec!["incident".to_owned()],
            history_days: 365,
            repositories: Vec::new(),
        }
    }
}

/// `[[github.repositories]]`. One repository may stand there several times, with an environment or
/// a workflow for each of its services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubRepositoryConfig {
    /// `owner/name`.
    pub name: String,
    /// What its deployments are called; absent: what the git repository with this remote is called,
    /// else the repository's name, and of a version tag with a part before it that part.
    pub service: Option<String>,
    pub team: Option<String>,
    /// GitHub's environments that are production, as globs; absent: `production`.
    #[serde(default)]
    pub environments: Vec<String>,
    /// File of a workflow: its runs are the deployments, and GitHub's deployments are not read.
    pub workflow: Option<String>,
    /// Only runs of this branch.
    pub branch: Option<String>,
    /// Only jobs whose names match this regular expression, instead of whole runs.
    pub job: Option<String>,
}

/// What can be checked without a secret.
pub(super) fn check(config: &GithubConfig) -> Result<(), Mistake> {
    check_base(&config.base_url).map_err(|message| Mistake::new("base_url", message))?;
    if !HISTORY_DAYS.contains(&config.history_days) {
        let message = format!(
            "{} is not between 1 and 3650; write 365",
            config.history_days
        );
        return Err(Mistake::new("history_days", message));
    }
    for label in &config.incident_labels {
        if label.trim().is_empty() || label.contains(',') {
            let message =
                format!("`{label}` is no label; write one name an entry, as in [\"incident\"]");
            return Err(Mistake::new("incident_labels", message));
        }
    }
    if let Some(name) = &config.token_env {
        let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with("ATALAYA_") {
            let message = "is no name of a variable for a token; write the name and not the token, without ATALAYA_ in front, as in `GITHUB_TOKEN`";
            return Err(Mistake::new("token_env", message));
        }
        if config.token_file.is_some() {
            let message = "stands beside `token_file`; keep one of them";
            return Err(Mistake::new("token_env", message));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, repository) in config.repositories.iter().enumerate() {
        let at = |mistake: Mistake| mistake.below(&format!("repositories[{index}]"));
        check_repository(repository).map_err(at)?;
        let mut environments = repository.environments.clone();
        environments.sort();
        let key = (
            repository.name.to_lowercase(),
            &repository.workflow,
            environments,
        );
        if !seen.insert(key) {
            let message = format!(
                "`{}` stands there twice with the same deployments; give each entry its own `environments` or `workflow`, or take one out",
                repository.name
            );
            return Err(at(Mistake::new("name", message)));
        }
    }
    Ok(())
}

fn check_repository(repository: &GithubRepositoryConfig) -> Result<(), Mistake> {
    let plain = |text: &str| {
        !text.is_empty()
            && text != "."
            && text != ".."
            && text
                .chars()
                .all(|sign| sign.is_ascii_alphanumeric() || "-._".contains(sign))
    };
    let parts: Vec<&str> = repository.name.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|part| plain(part)) {
        let message = format!(
            "`{}` is no repository; write owner and name, as in `acme/shop`",
            repository.name
        );
        return Err(Mistake::new("name", message));
    }
    for environment in &repository.environments {
        Glob::new(environment).map_err(|error| {
            let message = format!("`{environment}` is no pattern: {}", error.kind());
            Mistake::new("environments", message)
        })?;
    }
    match &repository.workflow {
        Some(file) if !plain(file) => {
            let message = format!(
                "`{file}` is no file of a workflow; write its name alone, as in `deploy.yml`"
            );
            return Err(Mistake::new("workflow", message));
        }
        Some(_) if !repository.environments.is_empty() => {
            let message = "belongs to GitHub's deployments, which are not read beside a `workflow`; keep one of them";
            return Err(Mistake::new("environments", message));
        }
        None if repository.branch.is_some() => {
            return Err(Mistake::new(
                "branch",
                "needs `workflow` beside it, whose runs it chooses among",
            ));
        }
        None if repository.job.is_some() => {
            return Err(Mistake::new(
                "job",
                "needs `workflow` beside it, whose jobs it chooses among",
            ));
        }
        _ => {}
    }
    if let Some(job) = &repository.job {
        regex::Regex::new(job).map_err(|error| {
            Mistake::new("job", format!("`{job}` is no regular expression: {error}"))
        })?;
    }
    Ok(())
}

fn check_base(base: &str) -> Result<(), String> {
    let shown = places::redacted(base);
    let url = Url::parse(base.trim()).map_err(|error| {
        format!("`{shown}` is no address ({error}); write `https://api.github.com` or `https://HOST/api/v3`")
    })?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(format!(
            "`{shown}` must begin with `https://`; plain http goes to this machine only"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "holds a user or a password, which others can read there; take it out and set {TOKEN} or name a file with `token_file`"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "`{shown}` has something after its path; leave that out"
        ));
    }
    Ok(())
}

/// The token, where there is one: public repositories can be read without, at 60 requests an hour.
///
/// # Errors
/// What was named is not there, or others may read it.
pub(super) fn token(
    config: &GithubConfig,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>, Mistake> {
    if config.token_env.is_some() {
        return places::secret("token", config.token_env.as_deref(), None, variable);
    }
    let file = config.token_file.as_deref();
    let found = places::found("token", TOKEN, CREDENTIAL, file, variable)?;
    Ok(found.map(|password| password.secret))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(text: &str) -> Result<(), String> {
        let config: GithubConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&config).map_err(|mistake| format!("{}: {mistake}", mistake.key))
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_remedy() {
        for (text, expected) in [
            (
                r#"base_url = "api.github.com""#,
                "base_url: `api.github.com` is no address",
            ),
            (
                r#"base_url = "http://github.acme.org""#,
                "must begin with `https://`",
            ),
            (
                r#"base_url = "https://ana:hunter2@github.acme.org""#,
                "base_url: holds a user or a password",
            ),
            (
                r#"base_url = "https://x/?a=1""#,
                "has something after its path",
            ),
            (
                "history_days = 0",
                "history_days: 0 is not between 1 and 3650",
            ),
            (
                r#"incident_labels = ["a,b"]"#,
                "incident_labels: `a,b` is no label",
            ),
            (
                r#"token_env = "ATALAYA_X""#,
                "token_env: is no name of a variable",
            ),
            (
                r#"token_env = "ghp_x y""#,
                "token_env: is no name of a variable",
            ),
            (
                "token_env = \"X\"\ntoken_file = \"/x\"",
                "token_env: stands beside `token_file`",
            ),
            (
                r#"repositories = [{ name = "shop" }]"#,
                "repositories[0].name: `shop` is no repository",
            ),
            (
                r#"repositories = [{ name = "a/../b" }]"#,
                "is no repository",
            ),
            (r#"repositories = [{ name = "a/.." }]"#, "is no repository"),
            (r#"repositories = [{ name = "a/b?c" }]"#, "is no repository"),
            (
                r#"repositories = [{ name = "a/b" }, { name = "A/b" }]"#,
                "repositories[1].name: `A/b` stands there twice",
            ),
            (
                r#"repositories = [{ name = "a/b", environments = ["prod-["] }]"#,
                "environments: `prod-[` is no pattern",
            ),
            (
                r#"repositories = [{ name = "a/b", workflow = "x/y.yml" }]"#,
                "workflow: `x/y.yml` is no file",
            ),
            (
                r#"repositories = [{ name = "a/b", workflow = "y.yml", environments = ["p"] }]"#,
                "environments: belongs to",
            ),
            (
                r#"repositories = [{ name = "a/b", branch = "main" }]"#,
                "branch: needs `workflow`",
            ),
            (
                r#"repositories = [{ name = "a/b", workflow = "y.yml", job = "(" }]"#,
                "job: `(` is no regular expression",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for text in [
            "",
            "base_url = \"https://github.acme.org/api/v3/\"",
            "base_url = \"http://127.0.0.1:8080\"",
            r#"repositories = [{ name = "a/b", workflow = "mail.yml" }, { name = "a/b", workflow = "web.yml" }]"#,
        ] {
            assert_eq!(read(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_token_comes_from_a_variable_or_from_nowhere() {
        let of = |name: Option<&str>, set: &'static str| {
            let config = GithubConfig {
                token_env: name.map(str::to_owned),
                ..GithubConfig::default()
            };
            token(&config, &|name| (name == set).then(|| "t0ken".to_owned()))
                .map(|token| token.map(|token| token.expose_secret().to_owned()))
                .map_err(|mistake| mistake.key)
        };
        assert_eq!(of(None, "GITHUB_TOKEN"), Ok(Some("t0ken".to_owned())));
        assert_eq!(of(None, "OTHER"), Ok(None));
        assert_eq!(of(Some("GH"), "GH"), Ok(Some("t0ken".to_owned())));
        assert_eq!(of(Some("GH"), "GITHUB_TOKEN"), Err("token_env".to_owned()));
    }
}
