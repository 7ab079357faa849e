//! Random repositories, made with git itself, read into a real store. What is expected is asked of
//! git again, never of our own code. The seed of each history is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atalaya::config::DoraConfig;
use atalaya::domain::delivery::{Deployment, DeploymentKind, DeploymentResult};
use atalaya::domain::time::Timestamp;
use atalaya::service::dora::{self, GatherError, Here, SyncOutcome, SyncRequest};
use atalaya::source::git::Which;
use atalaya::store::metrics::{DeliveryFilter, MetricsStore};
use atalaya::store::sqlite::metrics::SqliteMetricsStore;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::git_source::{EPOCH, commit, git};

mod names;
mod reverts;

struct Store {
    store: Arc<dyn MetricsStore>,
    folder: TempDir,
}

impl Store {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteMetricsStore::open(&folder.path().join("metrics.sqlite"))
            .await
            .unwrap();
        Self {
            store: Arc::new(store),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn try_sync(
        &self,
        repository: &Path,
        request: SyncRequest,
    ) -> Result<SyncOutcome, GatherError> {
        dora::sync_git(&*self.store, repository, request, Timestamp::now(), |_| {}).await
    }

    async fn sync(&self, repository: &Path) -> SyncOutcome {
        self.try_sync(repository, SyncRequest::default())
            .await
            .unwrap()
    }

    /// Reading it again, from this or another clone, must change nothing.
    async fn changes_nothing(&self, repository: &Path, why: &str) {
        let before = self.all().await;
        let again = self.sync(repository).await;
        assert_eq!(
            (
                again.written.inserted,
                again.written.updated,
                again.withdrawn
            ),
            (0, 0, 0),
            "{why}"
        );
        assert_eq!(self.all().await, before, "{why}");
    }

    async fn all(&self) -> Vec<Deployment> {
        self.store
            .deployments(&DeliveryFilter::default())
            .await
            .unwrap()
            .read
    }

    async fn live(&self) -> Vec<Deployment> {
        let mut all = self.all().await;
        all.retain(|deployment| deployment.result != DeploymentResult::Aborted);
        all
    }
}

fn repository(folder: &Path, name: &str) -> PathBuf {
    git(folder, 0, &["init", "--quiet", name]);
    folder.join(name)
}

/// A history of a few dozen commits with branches, reverts and tags in one of the ways that people
/// have; also how many of its tags are production releases.
struct History {
    random: StdRng,
    place: PathBuf,
    hour: i64,
    shas: Vec<String>,
}

impl History {
    fn new(folder: &Path, name: &str, seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            place: repository(folder, name),
            hour: 1,
            shas: Vec::new(),
        }
    }

    fn pass(&mut self, most: i64) {
        self.hour += self.random.random_range(1..=most);
    }

    fn commit(&mut self, message: &str) {
        self.pass(60);
        let sha = commit(&self.place, self.hour, message);
        self.shas.push(sha);
    }

    fn step(&mut self, number: usize) {
        match self.random.random_range(0..10) {
            0 if self.shas.len() > 2 => {
                let back = self.random.random_range(1..self.shas.len());
                let original = self.shas[self.shas.len() - back].clone();
                self.commit(&format!(
                    "Revert something\n\nThis reverts commit {original}."
                ));
            }
            1 if !self.shas.is_empty() => self.merge(number),
            2 => self.commit("hotfix: totals"),
            _ => self.commit(&format!("change {number}")),
        }
    }

    fn merge(&mut self, number: usize) {
        let branch = format!("topic-{number}");
        git(
            &self.place,
            self.hour,
            &["checkout", "--quiet", "-b", &branch],
        );
        self.commit(&format!("work on {branch}"));
        git(&self.place, self.hour, &["checkout", "--quiet", "main"]);
        self.pass(5);
        git(
            &self.place,
            self.hour,
            &["merge", "--quiet", "--no-ff", "-m", &branch, &branch],
        );
        let merged = git(&self.place, self.hour, &["rev-parse", "HEAD"]);
        self.shas.push(merged);
    }

    fn tag(&mut self, name: &str) {
        if self.random.random_bool(0.5) {
            git(&self.place, self.hour, &["tag", name]);
        } else {
            self.pass(10);
            git(&self.place, self.hour, &["tag", "-a", name, "-m", name]);
        }
    }
}

/// So many ways to write a version of `1.<n>.0`.
fn spelling(way: usize, number: usize) -> Vec<String> {
    match way {
        0 => vec![format!("v1.{number}.0")],
        1 => vec![
            format!("api-v1.{number}.0"),
            format!("client-v1.{number}.0"),
        ],
        2 => vec![format!("@acme/shop@1.{number}.0")],
        3 => vec![format!("services/mail/v1.{number}.0"), "nightly".to_owned()],
        4 => vec![format!("deploy-{}", 1_711_334_567 + number)],
        5 => vec![format!("1.{number}.0-stable"), format!("1.{number}.0-rc.1")],
        _ => Vec::new(), // merges or commits
    }
}

fn random_history(folder: &Path, name: &str, seed: u64) -> PathBuf {
    let way = usize::try_from(seed % 7).unwrap();
    let mut history = History::new(folder, name, seed);
    for number in 0..18 {
        history.step(number);
        if history.random.random_bool(0.4) {
            for tag in spelling(way, number) {
                if tag != "nightly" || number == 0 {
                    history.tag(&tag);
                }
            }
        }
    }
    history.place
}

#[tokio::test]
async fn syncing_twice_or_from_another_clone_changes_nothing() {
    for round in 0..7 {
        let seed = rand::random::<u64>() / 7 * 7 + round;
        println!("seed {seed}");
        let store = Store::new().await;
        let place = random_history(store.folder.path(), "shop", seed);
        let first = store.sync(&place).await;
        store
            .changes_nothing(&place, &format!("seed {seed}: again"))
            .await;
        git(
            store.folder.path(),
            0,
            &["clone", "--quiet", "shop", "elsewhere"],
        );
        store
            .changes_nothing(&store.path("elsewhere"), &format!("seed {seed}: a clone"))
            .await;
        assert_eq!(store.live().await.len(), first.git.deployments.len());
        let ids: BTreeSet<&str> = first
            .git
            .deployments
            .iter()
            .map(|made| made.id.as_str())
            .collect();
        assert_eq!(ids.len(), first.git.deployments.len(), "seed {seed}");
    }
}

/// Each revert against what git says: the first tag, by time, that contains what it takes back.
#[tokio::test]
async fn what_failed_is_what_carried_the_reverted_commit() {
    for _ in 0..4 {
        let seed = rand::random();
        println!("seed {seed}");
        let store = Store::new().await;
        let mut history = History::new(store.folder.path(), "shop", seed);
        let mut tags: Vec<(String, i64)> = Vec::new();
        let mut reverts: Vec<(String, String, i64)> = Vec::new(); // revert, original, hour
        let mut reverted = BTreeSet::new();
        for number in 0..30 {
            history.commit(&format!("change {number}"));
            if history.random.random_bool(0.25) {
                let back = history.random.random_range(1..=history.shas.len());
                let original = history.shas[history.shas.len() - back].clone();
                let is_revert = reverts.iter().any(|(revert, _, _)| *revert == original);
                if !is_revert && reverted.insert(original.clone()) {
                    history.commit(&format!("Undo\n\nThis reverts commit {original}."));
                    let revert = history.shas.last().unwrap().clone();
                    reverts.push((revert, original, history.hour));
                }
            }
            if history.random.random_bool(0.35) {
                let name = format!("v1.{number}.0");
                history.pass(10);
                git(
                    &history.place,
                    history.hour,
                    &["tag", "-a", &name, "-m", &name],
                );
                tags.push((name, history.hour));
            }
        }
        let place = history.place.clone();
        let contains = |tag: &str, sha: &str| {
            !git(&place, 0, &["tag", "--contains", sha, "--list", tag]).is_empty()
        };
        let carrier = |sha: &str| tags.iter().position(|(tag, _)| contains(tag, sha));
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        // In the order in which the reverts went out: the first one counts.
        for (revert, original, made) in &reverts {
            let (Some(carried), Some(by)) = (carrier(original), carrier(revert)) else {
                continue;
            };
            if carried < by && made - tags[carried].1 <= 7 * 24 {
                expected
                    .entry(format!("shop@{}", tags[carried].0))
                    .or_insert_with(|| format!("shop@{}", tags[by].0));
            }
        }
        let outcome = store.sync(&place).await;
        let found: BTreeMap<String, String> = outcome
            .git
            .deployments
            .iter()
            .filter(|made| made.result == DeploymentResult::Failed)
            .map(|made| (made.id.clone(), made.taken_back_by.clone().unwrap()))
            .collect();
        assert_eq!(found, expected, "seed {seed}");
        // Each commit after the first release once, and each revert marked as such.
        let carried: Vec<_> = outcome
            .git
            .deployments
            .iter()
            .flat_map(|made| made.commits.iter().flatten())
            .collect();
        for commit in &carried {
            let is_revert = reverts.iter().any(|(revert, _, _)| *revert == commit.sha);
            assert_eq!(commit.reverts, is_revert, "seed {seed}: {}", commit.title);
        }
        if let (Some(first), Some(last)) = (tags.first(), tags.last()) {
            let range = format!("{}..{}", first.0, last.0);
            let count = git(&place, 0, &["rev-list", "--count", &range]);
            assert_eq!(carried.len().to_string(), count, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn an_older_commit_released_again_is_a_third_deployment_and_a_rollback() {
    use DeploymentKind::{Normal, Rollback};
    use DeploymentResult::{Failed, Success};

    let store = Store::new().await;
    let shop = repository(store.folder.path(), "shop");
    let old = commit(&shop, 1, "one");
    git(&shop, 10, &["tag", "-a", "v1.0.0", "-m", "x"]);
    commit(&shop, 200, "two");
    git(&shop, 210, &["tag", "-a", "v1.1.0", "-m", "x"]);
    git(&shop, 220, &["tag", "-a", "v1.1.1", "-m", "x", &old]);
    git(&shop, 230, &["tag", "v1.1", "v1.1.0"]); // a name that floats, on the other commit
    let outcome = store.sync(&shop).await;
    let told: Vec<_> = outcome
        .git
        .deployments
        .iter()
        .map(|made| (made.id.as_str(), made.result, made.kind))
        .collect();
    assert_eq!(
        told,
        [
            ("shop@v1.0.0", Success, Normal),
            ("shop@v1.1.0", Failed, Normal),
            ("shop@v1.1.1", Success, Rollback),
        ]
    );
    assert_eq!(outcome.git.deployments[2].commits, Some(Vec::new()));
    store.changes_nothing(&shop, "again").await;
}

#[tokio::test]
async fn two_repositories_of_one_name_do_not_touch_each_other() {
    let store = Store::new().await;
    let mut places = Vec::new();
    for (folder, remote) in [
        ("one", None),
        ("two", None),
        ("three", Some("git@github.com:acme/api.git")),
    ] {
        std::fs::create_dir(store.path(folder)).unwrap();
        let api = repository(&store.path(folder), "api");
        commit(&api, 1, &format!("first of {folder}"));
        git(&api, 1, &["tag", "v1.0.0"]);
        commit(&api, 2, &format!("second of {folder}"));
        git(&api, 2, &["tag", "v1.1.0"]);
        if let Some(remote) = remote {
            git(&api, 2, &["remote", "add", "origin", remote]);
        }
        places.push(api);
    }
    for place in &places {
        store.sync(place).await;
    }
    for place in &places {
        store
            .changes_nothing(place, &place.display().to_string())
            .await;
    }
    let live = store.live().await;
    assert_eq!(live.len(), 6);
    let mut by_service: BTreeMap<&str, usize> = BTreeMap::new();
    for made in &live {
        *by_service.entry(made.service.as_str()).or_default() += 1;
    }
    assert_eq!(by_service.len(), 3, "{by_service:?}");
    assert_eq!((by_service["api"], by_service["acme/api"]), (2, 2));

    // A tag deleted in one takes nothing from the others.
    git(&places[1], 3, &["tag", "-d", "v1.1.0"]);
    assert_eq!(store.sync(&places[1]).await.withdrawn, 1);
    assert_eq!(store.live().await.len(), 5);
}

#[tokio::test]
async fn a_folder_of_another_name_and_a_shallow_clone_are_the_same_repository() {
    let store = Store::new().await;
    let shop = random_history(store.folder.path(), "shop", 7 * 11);
    let remote = "https://ana:secret@example.org/acme/shop.git";
    git(&shop, 0, &["remote", "add", "origin", remote]);
    store.sync(&shop).await;
    std::fs::rename(&shop, store.path("renamed")).unwrap();
    let renamed = store.path("renamed");
    store.changes_nothing(&renamed, "renamed").await;
    let live = store.live().await.len();

    let from = format!("file://{}", renamed.display());
    git(
        store.folder.path(),
        0,
        &["clone", "--quiet", "--depth", "4", &from, "shallow"],
    );
    let shallow = store.path("shallow");
    store.sync(&shallow).await;
    assert_eq!(store.live().await.len(), live);
    let known = store.store.repositories().await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].remote.as_deref(), Some("example.org/acme/shop"));
    assert!(matches!(
        dora::here(&*store.store, &renamed).await.unwrap(),
        Here::Known(_)
    ));
}

#[tokio::test]
async fn a_slip_in_the_pattern_is_asked_about_and_the_way_is_remembered() {
    let store = Store::new().await;
    let shop = repository(store.folder.path(), "shop");
    for number in 0..6 {
        commit(&shop, number + 1, "change");
        git(&shop, number + 1, &["tag", &format!("v1.{number}.0")]);
    }
    let config = DoraConfig::default();
    let by = |tags: &str| dora::sync_options(&config, Some(tags), None);
    store.try_sync(&shop, by("v1.*")).await.unwrap();
    let before = store.all().await;
    match store.try_sync(&shop, by("v2*")).await {
        Err(GatherError::WouldWithdraw(question)) => {
            assert_eq!((question.count, question.known), (6, 6));
            let text = question.to_string();
            assert!(
                text.contains("--withdraw") && text.contains("tags:v2*"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.all().await, before);
    // Nothing asked for: as the last time.
    let again = store.sync(&shop).await;
    assert_eq!(again.git.method.to_string(), "tags matching `v1.*`");
    assert_eq!((again.written.updated, again.withdrawn), (0, 0));
    // One tag goes without a question, most of them do not.
    git(&shop, 9, &["tag", "-d", "v1.0.0"]);
    assert_eq!(store.sync(&shop).await.withdrawn, 1);
    for number in 1..5 {
        git(&shop, 9, &["tag", "-d", &format!("v1.{number}.0")]);
    }
    assert!(matches!(
        store.try_sync(&shop, SyncRequest::default()).await,
        Err(GatherError::WouldWithdraw(_))
    ));
    let meant = SyncRequest {
        withdraw: true,
        ..SyncRequest::default()
    };
    assert_eq!(store.try_sync(&shop, meant).await.unwrap().withdrawn, 4);
    assert_eq!(store.live().await.len(), 1);
}

#[tokio::test]
async fn the_first_tag_of_a_repository_is_no_question() {
    let store = Store::new().await;
    let shop = repository(store.folder.path(), "shop");
    for hour in 1..5 {
        commit(&shop, hour, "change");
    }
    let first = store.sync(&shop).await;
    assert!(
        first
            .git
            .method
            .to_string()
            .contains("each commit counted: no tag, no merge"),
        "{}",
        first.git.method
    );
    git(&shop, 6, &["tag", "v1.0.0"]);
    let tagged = store.sync(&shop).await;
    assert_eq!((tagged.git.deployments.len(), tagged.withdrawn), (1, 4));
    store.changes_nothing(&shop, "again").await;
}

#[tokio::test]
async fn tags_say_what_they_are_and_requests_come_along() {
    let store = Store::new().await;
    let all = repository(store.folder.path(), "all");
    commit(&all, 1, "one");
    for tag in ["api-v1.0.0", "client-v1.0.0", "nightly", "backup-before-v2"] {
        git(&all, 1, &["tag", tag]);
    }
    commit(&all, 2, "two\n\nRequest-Id: req-of-commit");
    git(&all, 2, &["tag", "api-v1.1.0"]);
    git(&all, 2, &["tag", "api-v1.2.0-rc.1"]);
    let message = "release\n\nRequest-Id: req-of-tag";
    git(&all, 3, &["tag", "-a", "client-v1.1.0", "-m", message]);
    let outcome = store.sync(&all).await;
    let tags = outcome.git.tags.as_ref().unwrap();
    assert_eq!(
        tags.words(),
        "7 tags: 2 are api, 2 are client, 1 pre-releases (staging), 2 matched nothing \
         (backup-before-v2, nightly)"
    );
    let requests: Vec<_> = store
        .live()
        .await
        .into_iter()
        .filter_map(|made| Some((made.id, made.request_id?.as_str().to_owned())))
        .collect();
    for (id, request) in [
        ("api-v1.1.0", "req-of-commit"),
        ("client-v1.1.0", "req-of-tag"),
    ] {
        assert!(
            requests.contains(&(id.to_owned(), request.to_owned())),
            "{requests:?}"
        );
    }
    let known = store.store.repositories().await.unwrap();
    assert_eq!(known[0].account, tags.words());
}

#[tokio::test]
async fn what_is_dated_in_the_future_is_said() {
    let store = Store::new().await;
    let shop = repository(store.folder.path(), "shop");
    let now = Timestamp::now().micros() / 1_000_000;
    let ahead = (now - EPOCH) / 3_600 + 1_000;
    commit(&shop, ahead, "from tomorrow");
    git(&shop, ahead, &["tag", "v1.0.0"]);
    let notes = store.sync(&shop).await.git.notes;
    assert!(
        notes.iter().any(|note| note.contains("future")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn a_branch_beside_tags_in_the_configuration_is_said() {
    let config = DoraConfig {
        tags: Some("v*".to_owned()),
        branch: Some("main".to_owned()),
        ..DoraConfig::default()
    };
    let request = dora::sync_options(&config, None, None);
    assert_eq!(request.options.which, Which::Merges("main".to_owned()));
    assert!(request.options.remarks[0].contains("the tags do not"));
}
