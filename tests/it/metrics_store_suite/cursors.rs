//! Cursors, commits and words of sources that are read piece by piece; pull requests.

use super::*;
use atalaya::domain::delivery::pull_request::PullSummary;
use atalaya::store::metrics::{SourceCommit, SourceCursor};

pub async fn a_cursor_is_kept_by_source_and_list(store: Store) {
    let cursor = |source: &str, resource: &str, body: &str, minutes| SourceCursor {
        source: source.to_owned(),
        resource: resource.to_owned(),
        body: body.to_owned(),
        changed_at: at(minutes),
    };
    for one in [
        cursor("github:a", "pulls", r#"{"page":1}"#, 1),
        cursor("github:a", "issues", r#"{"page":2}"#, 2),
        cursor("github:b", "pulls", r#"{"page":3}"#, 3),
        cursor("github:a", "pulls", r#"{"page":4}"#, 4),
    ] {
        store.put_cursor(&one).await.unwrap();
    }
    let known = store.cursor("github:a", "pulls").await.unwrap();
    assert_eq!(known, Some(cursor("github:a", "pulls", r#"{"page":4}"#, 4)));
    let known = store.cursor("github:b", "pulls").await.unwrap();
    assert_eq!(known.unwrap().body, r#"{"page":3}"#);
    // Names are told apart by case and by trailing blanks, whatever the database thinks of them.
    for other in ["GITHUB:A", "github:a "] {
        assert_eq!(store.cursor(other, "pulls").await.unwrap(), None);
    }
}

pub async fn commits_of_a_source_are_added_once(store: Store) {
    let commit = |sha: &str, minutes| SourceCommit {
        sha: sha.to_owned(),
        parents: vec!["p1".to_owned(), "p2".to_owned()],
        reverts: vec!["#12".to_owned()],
        authored_at: at(minutes),
        committed_at: at(minutes + 1),
        title: "größe\u{1b} 👍".to_owned(),
        request_id: Some(RequestId::new("req-7")),
    };
    let bare = SourceCommit {
        parents: Vec::new(),
        reverts: Vec::new(),
        request_id: None,
        ..commit("bare", 9)
    };
    let all = [commit("a", 1), bare.clone(), commit("b", 5), commit("a", 1)];
    assert_eq!(store.put_source_commits("s", &all).await.unwrap(), 3);
    assert_eq!(store.put_source_commits("s", &all).await.unwrap(), 0);
    assert_eq!(store.put_source_commits("t", &all[..1]).await.unwrap(), 1);
    let known = store.source_commits("s").await.unwrap();
    assert_eq!(known, [bare, commit("b", 5), commit("a", 1)]);
    assert_eq!(store.source_commits("u").await.unwrap(), []);
}

pub async fn words_of_a_source_are_replaced(store: Store) {
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    store
        .put_source_words("s", "d1", &["hotfix", "broke"])
        .await
        .unwrap();
    store.put_source_words("s", "d2", &["broke"]).await.unwrap();
    store.put_source_words("t", "d1", &["broke"]).await.unwrap();
    store
        .put_source_words("s", "d1", &["hotfix"])
        .await
        .unwrap();
    store.put_source_words("s", "d2", &[]).await.unwrap();
    assert_eq!(
        store.source_words("s").await.unwrap(),
        [pair("d1", "hotfix")]
    );
    assert_eq!(
        store.source_words("t").await.unwrap(),
        [pair("d1", "broke")]
    );
}

pub async fn pull_requests_come_back_as_they_were(store: Store) {
    let pull = |number: u64, merged: Option<i64>| PullSummary {
        id: format!("github-pull-{number}"),
        repository: "acme/shop".to_owned(),
        number,
        title: "größe 👍".to_owned(),
        author: Some("ana".to_owned()),
        head_branch: Some("feature".to_owned()),
        head_sha: Some("c0ffee".to_owned()),
        first_commit_at: merged.map(|minutes| at(minutes - 3)),
        last_commit_at: merged.map(|minutes| at(minutes - 2)),
        opened_at: at(1),
        first_review_at: None,
        merged_at: merged.map(at),
        closed_at: merged.map(at),
        merge_sha: merged.map(|_| "abc".to_owned()),
    };
    let all = [pull(9, Some(30)), pull(2, None), pull(5, Some(20))];
    let written = store.put_pull_requests(&all).await.unwrap();
    assert_eq!((written.inserted, written.unchanged), (3, 0));
    let again = store.put_pull_requests(&all).await.unwrap();
    assert_eq!((again.inserted, again.updated, again.unchanged), (0, 0, 3));
    let merged = store.put_pull_requests(&[pull(2, Some(25))]).await.unwrap();
    assert_eq!(merged.updated, 1);
    let numbers = |pulls: Vec<PullSummary>| -> Vec<u64> {
        pulls.into_iter().map(|pull| pull.number).collect()
    };
    let known = store.pull_requests("acme/shop").await.unwrap();
    assert_eq!(
        known,
        [pull(2, Some(25)), pull(5, Some(20)), pull(9, Some(30))]
    );
    assert_eq!(store.pull_requests("acme/other").await.unwrap(), []);
    let range = TimeRange::new(at(20), at(30));
    let found = store.merged_pull_requests(range).await.unwrap();
    assert_eq!(numbers(found), [5, 2]);
}
