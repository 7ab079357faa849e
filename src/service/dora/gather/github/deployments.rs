//! What went out: GitHub's deployments by their statuses, or the runs of a workflow.

use std::collections::{BTreeMap, HashMap};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use atalaya_domain::delivery::version_tag;
use atalaya_domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya_domain::dora::PRODUCTION;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::DeliveryFilter;

use super::listing::{Newest, Shape};
use super::reader::{Reader, list, no_list};
use super::watch::{Watch, Watched};
use super::{GithubRequest, Odd, RepositoryOutcome, Stop};
use crate::config::GithubRepositoryConfig;
use crate::source::git::{Naming, is_hotfix};
use crate::source::github::{self, Answer, AskError, DeployPattern, Requested, Run, Status};

/// GitHub's own words about a deployment: its branch or tag names an urgent repair; its statuses say
/// that it went out and broke.
pub(super) const HOTFIX: &str = "hotfix";
pub(super) const BROKE: &str = "broke";
/// Environments that are named as not read.
const NAMED: usize = 5;

const DEPLOYMENTS: Shape = Shape {
    field: None,
    time: "created_at",
};
const RUNS: Shape = Shape {
    field: Some("workflow_runs"),
    time: "created_at",
};

/// Reads the deployments of one entry of the configuration.
pub(super) async fn read(
    reader: &Reader<'_>,
    entry: &GithubRepositoryConfig,
    naming: &Naming,
    request: &GithubRequest,
    outcome: &mut RepositoryOutcome,
) -> Result<(), Stop> {
    let mut naming = naming.clone();
    if let Some(service) = &entry.service {
        naming.base.clone_from(service);
        naming.given = true;
    }
    let mut line = Line {
        reader,
        entry,
        naming,
        environment: &request.environment,
        known: known(reader).await?,
        odd: Odd::default(),
        outcome,
    };
    match &entry.workflow {
        Some(workflow) => line.runs(workflow).await?,
        None => line.deployments().await?,
    }
    let things = if entry.workflow.is_some() {
        "runs"
    } else {
        "deployments"
    };
    line.odd.note(things, &mut outcome.notes);
    Ok(())
}

/// What the store has of this repository from GitHub, by id.
pub(super) async fn known(reader: &Reader<'_>) -> Result<HashMap<String, Deployment>, StoreError> {
    let mut known = HashMap::new();
    for (origin, service) in reader.store.services_by_origin().await? {
        if origin != reader.source {
            continue;
        }
        let filter = DeliveryFilter {
            service: Some(service),
            ..DeliveryFilter::default()
        };
        let stored = reader.store.deployments(&filter).await?.read;
        let own = stored
            .into_iter()
            .filter(|deployment| deployment.origin == reader.source);
        known.extend(own.map(|deployment| (deployment.id.clone(), deployment)));
    }
    Ok(known)
}

/// The deployments of one entry.
struct Line<'a> {
    reader: &'a Reader<'a>,
    entry: &'a GithubRepositoryConfig,
    naming: Naming,
    environment: &'a str,
    known: HashMap<String, Deployment>,
    odd: Odd,
    outcome: &'a mut RepositoryOutcome,
}

/// What became of a commit that was brought out.
struct Brought<'b> {
    id: String,
    sha: &'b str,
    /// Branch or tag.
    reference: &'b str,
    result: DeploymentResult,
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
    request_id: Option<RequestId>,
}

impl Line<'_> {
    async fn deployments(&mut self) -> Result<(), Stop> {
        let wanted = Wanted::new(&self.entry.environments);
        let key = resource("deployments", &self.entry.environments);
        let watching = format!("{key} watched");
        let mut watch: Watch<Requested> = self.reader.load(&watching).await?;
        for at in 0..watch.entries.len() {
            self.reader.says("deployments");
            self.look_again(&mut watch.entries[at]).await?;
        }
        let mut passed_over: BTreeMap<String, usize> = BTreeMap::new();
        let first = self.reader.place("deployments?per_page=100");
        let mut listing = Newest::open(self.reader, key, first, DEPLOYMENTS).await?;
        while let Some(things) = listing.next().await? {
            for thing in things {
                let read = github::deployment(&thing.to_string());
                let Some(asked) = self.odd.sort(read) else {
                    continue;
                };
                if !wanted.has(&asked) {
                    *passed_over.entry(asked.environment).or_default() += 1;
                    continue;
                }
                if asked.created_at < self.reader.oldest
                    || watch.has(asked.id)
                    || self.known.contains_key(&id_of(&asked))
                {
                    continue;
                }
                self.reader.says("deployments");
                let mut entry = Watched {
                    id: asked.id,
                    created_at: asked.created_at,
                    thing: asked,
                    etag: None,
                    has_ended: false,
                };
                self.look_again(&mut entry).await?;
                watch.add(entry, self.reader.now);
            }
            self.reader.save(&watching, &watch).await?;
            listing.taken().await?;
        }
        self.settle(&mut watch);
        self.reader.save(&watching, &watch).await?;
        self.note_passed_over(&passed_over);
        Ok(())
    }

    /// Asks how a deployment does, and stores it when it has ended.
    async fn look_again(&mut self, entry: &mut Watched<Requested>) -> Result<(), Stop> {
        let place = format!("deployments/{}/statuses?per_page=100", entry.id);
        let place = self.reader.place(&place);
        let page = match self.reader.client.get(&place, entry.etag.as_deref()).await {
            Ok(Answer::Page(page)) => page,
            // Deleted since: what is known of it stays.
            Ok(Answer::NotModified) | Err(AskError::Missing { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let things = list(page.body).ok_or_else(|| no_list(&place))?;
        let statuses: Vec<Status> = things
            .iter()
            .filter_map(|thing| self.odd.sort(github::status(&thing.to_string())))
            .collect();
        if let Some(ended) = github::ended(&statuses) {
            let asked = &entry.thing;
            let deployment = self.deployment(Brought {
                id: id_of(asked),
                sha: &asked.sha,
                reference: &asked.reference,
                result: ended.result,
                started_at: ended.started_at,
                finished_at: ended.finished_at,
                request_id: asked.request_id.clone(),
            });
            self.put(vec![deployment]).await?;
            entry.has_ended = true;
        }
        entry.etag = page.etag;
        Ok(())
    }

    async fn runs(&mut self, workflow: &str) -> Result<(), Stop> {
        let setting = [
            Some(workflow.to_owned()),
            self.entry.branch.clone(),
            self.entry.job.clone(),
        ];
        let key = resource("runs", &setting.map(Option::unwrap_or_default));
        let watching = format!("{key} watched");
        let mut watch: Watch<Run> = self.reader.load(&watching).await?;
        for at in 0..watch.entries.len() {
            self.reader.says("runs");
            self.run_again(&mut watch.entries[at]).await?;
        }
        // Narrowed here and not by GitHub, which gives at most 1,000 of what it narrows.
        let first = format!("actions/workflows/{workflow}/runs?per_page=100");
        let first = self.reader.place(&first);
        let mut listing = Newest::open(self.reader, key, first, RUNS).await?;
        while let Some(things) = listing.next().await? {
            for thing in things {
                let Some(run) = self.odd.sort(github::run(&thing.to_string())) else {
                    continue;
                };
                if !self.is_ours(&run) || watch.has(run.id) {
                    continue;
                }
                self.reader.says("runs");
                let entry = Watched {
                    id: run.id,
                    created_at: run.created_at,
                    has_ended: run.is_over(),
                    etag: None,
                    thing: run,
                };
                self.store_run(&entry.thing).await?;
                watch.add(entry, self.reader.now);
            }
            self.reader.save(&watching, &watch).await?;
            listing.taken().await?;
        }
        self.settle(&mut watch);
        self.reader.save(&watching, &watch).await?;
        Ok(())
    }

    fn is_ours(&self, run: &Run) -> bool {
        run.created_at >= self.reader.oldest
            // What runs for a proposal brings out nothing.
            && !run.event.starts_with("pull_request")
            && self
                .entry
                .branch
                .as_ref()
                .is_none_or(|branch| *branch == run.reference)
    }

    async fn run_again(&mut self, entry: &mut Watched<Run>) -> Result<(), Stop> {
        let place = self.reader.place(&format!("actions/runs/{}", entry.id));
        let page = match self.reader.client.get(&place, entry.etag.as_deref()).await {
            Ok(Answer::Page(page)) => page,
            Ok(Answer::NotModified) | Err(AskError::Missing { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if let Some(run) = self.odd.sort(github::run(&page.body.to_string())) {
            self.store_run(&run).await?;
            entry.has_ended = run.is_over();
            entry.thing = run;
        }
        entry.etag = page.etag;
        Ok(())
    }

    /// A run that is over: as a deployment, or each of its jobs that is one.
    async fn store_run(&mut self, run: &Run) -> Result<(), Stop> {
        let Some(result) = run.result() else {
            return Ok(());
        };
        let deployments = match &self.entry.job {
            Some(pattern) => self.jobs(run, pattern).await?,
            None => vec![self.deployment(Brought {
                id: format!("github-run-{}", run.id),
                sha: &run.sha,
                reference: &run.reference,
                result,
                started_at: run.started_at.filter(|at| *at <= run.updated_at),
                finished_at: run.updated_at,
                request_id: None,
            })],
        };
        self.put(deployments).await?;
        Ok(())
    }

    async fn jobs(&mut self, run: &Run, pattern: &str) -> Result<Vec<Deployment>, Stop> {
        let place = format!("actions/runs/{}/jobs?per_page=100", run.id);
        let place = self.reader.place(&place);
        let pattern = DeployPattern::new(pattern).map_err(|error| AskError::Odd {
            path: place.clone(),
            why: error.to_string(),
        })?;
        let jobs = self
            .reader
            .all(&place, |mut body| list(body.get_mut("jobs")?.take()))
            .await?;
        let mut deployments = Vec::new();
        for job in jobs.unwrap_or_default() {
            let Some(job) = self.odd.sort(github::job(&job.to_string())) else {
                continue;
            };
            let repository = self.reader.repository;
            let made = pattern.deployment(&job, repository, self.environment);
            deployments.extend(made.map(|made| {
                let id = made.id.clone();
                self.deployment(Brought {
                    id,
                    sha: &job.head_sha,
                    reference: &run.reference,
                    result: made.result,
                    started_at: made.started_at,
                    finished_at: made.finished_at,
                    request_id: None,
                })
            }));
        }
        Ok(deployments)
    }

    fn deployment(&self, brought: Brought<'_>) -> Deployment {
        let owner = version_tag::read(brought.reference).and_then(|tag| tag.owner);
        Deployment {
            id: brought.id,
            service: self.naming.service_of(owner),
            team: self.entry.team.clone(),
            environment: self.environment.to_owned(),
            commit: Some(brought.sha.to_owned()),
            started_at: brought.started_at,
            finished_at: brought.finished_at,
            result: brought.result,
            kind: if is_hotfix(brought.reference) {
                DeploymentKind::Hotfix
            } else {
                DeploymentKind::Normal
            },
            request_id: brought.request_id,
            cycle_id: None,
            origin: self.reader.source.clone(),
            taken_back_by: None,
            commits: None,
        }
    }

    /// Stores deployments and what GitHub itself says of them. What was concluded before stays until
    /// [`assign`](super::commits::assign) concludes anew.
    async fn put(&mut self, mut deployments: Vec<Deployment>) -> Result<(), StoreError> {
        for deployment in &mut deployments {
            let mut words = Vec::new();
            if deployment.kind == DeploymentKind::Hotfix {
                words.push(HOTFIX);
            }
            if deployment.result == DeploymentResult::Failed {
                words.push(BROKE);
            }
            let (source, id) = (&self.reader.source, &deployment.id);
            self.reader
                .store
                .put_source_words(source, id, &words)
                .await?;
            if let Some(known) = self.known.get(&deployment.id)
                && known.commit == deployment.commit
                && known.result != DeploymentResult::Aborted
                && deployment.result != DeploymentResult::Aborted
            {
                deployment.kind = known.kind;
                deployment.result = known.result;
                deployment.taken_back_by.clone_from(&known.taken_back_by);
                deployment.commits.clone_from(&known.commits);
            }
        }
        self.outcome.deployments += self.reader.store.put_deployments(&deployments).await?;
        let stored = deployments.into_iter();
        self.known
            .extend(stored.map(|deployment| (deployment.id.clone(), deployment)));
        Ok(())
    }

    fn settle<T>(&mut self, watch: &mut Watch<T>) {
        let many = watch.settle(self.reader.now);
        if many > 0 {
            self.outcome.notes.push(format!(
                "{many} of the oldest that have not ended are not looked at again: there are too many"
            ));
        }
    }

    fn note_passed_over(&mut self, environments: &BTreeMap<String, usize>) {
        if environments.is_empty() {
            return;
        }
        let count: usize = environments.values().sum();
        let mut names: Vec<(&String, &usize)> = environments.iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let more = if names.len() > NAMED { ", …" } else { "" };
        let names: Vec<&str> = names
            .iter()
            .take(NAMED)
            .map(|(name, _)| name.as_str())
            .collect();
        self.outcome.notes.push(format!(
            "{count} deployments to other environments ({}{more}) are not production; `environments` says which are",
            names.join(", ")
        ));
    }
}

fn id_of(asked: &Requested) -> String {
    format!("github-deployment-{}", asked.id)
}

/// The name of a list by its setting, so that another setting reads anew.
fn resource(list: &str, setting: &[String]) -> String {
    let hash = blake3::hash(setting.join("\n").as_bytes()).to_hex();
    format!("{list} {}", hash.get(..12).unwrap_or_default())
}

/// Which environments are production.
struct Wanted(Option<GlobSet>);

impl Wanted {
    fn new(patterns: &[String]) -> Self {
        if patterns.is_empty() {
            return Self(None);
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            // One that is none was refused with the configuration.
            if let Ok(glob) = GlobBuilder::new(pattern).case_insensitive(true).build() {
                set.add(glob);
            }
        }
        Self(set.build().ok())
    }

    fn has(&self, asked: &Requested) -> bool {
        match &self.0 {
            Some(patterns) => patterns.is_match(&asked.environment),
            None => {
                !asked.transient
                    && (asked.production || asked.environment.eq_ignore_ascii_case(PRODUCTION))
            }
        }
    }
}
