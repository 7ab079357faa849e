//! Limits, faults and other servers.

use atalaya::domain::time::Timestamp;
use atalaya::source::github::AskError;

use super::server::{Fault, Github, http};
use super::world::World;
use super::{DAY, HOUR, NOW, deployed, deployments, line, request, store, sync, sync_with, whole};

#[tokio::test]
async fn limits_are_obeyed_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let github = Github::start(World {
        commits: line(3, DAY),
        deployments: vec![deployed(1, 1, NOW - DAY), deployed(2, 2, NOW - HOUR)],
        ..World::default()
    });
    let reset = Timestamp::now().micros() / 1_000_000 + 1_800;
    github.script(move |_, before, _| {
        let headers = format!("X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: {reset}\r\n");
        (before >= 2).then(|| http("403 Forbidden", &headers))
    });
    let outcome = sync(&*store, &github).await;
    let failure = outcome.failure().unwrap();
    let AskError::Limited { until } = failure.error else {
        panic!("{outcome:?}");
    };
    assert!((until.micros() / 1_000_000 - reset).abs() <= 3, "{until:?}");
    assert_eq!(github.got().len(), 3, "nothing is asked after it");
    assert_eq!(
        outcome.repositories[0].deployments.inserted, 1,
        "what came is kept"
    );
    // The next run does not ask before either.
    github.friendly();
    let outcome = sync(&*store, &github).await;
    assert!(matches!(
        outcome.failure().unwrap().error,
        AskError::Limited { .. }
    ));
    assert_eq!(github.got().len(), 0);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_said() {
    let world = World {
        commits: line(3, DAY),
        deployments: vec![deployed(1, 1, NOW - DAY)],
        ..World::default()
    };
    // Each of the first requests goes wrong once, then all is well.
    for fault in [
        http("500 Internal Server Error", ""),
        http("503 Service Unavailable", "Retry-After: 0\r\n"),
        http("429 Too Many Requests", "Retry-After: 1\r\n"),
        http("403 Forbidden", "Retry-After: 1\r\n"),
        Fault::Half,
        Fault::HalfOpen,
        Fault::HangUp,
    ] {
        let github = Github::start(world.clone());
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let wrong = fault.clone();
        github.script(move |_, before, _| (before == 0).then(|| wrong.clone()));
        let outcome = whole(&*store, &github).await;
        assert_eq!(outcome.repositories[0].deployments.inserted, 1, "{fault:?}");
    }
    let long = Fault::Http("200 OK", String::new(), " ".repeat((10 << 20) + 1));
    for (fault, passes, words) in [
        (http("500 Internal Server Error", ""), true, "HTTP 500: no"),
        (http("401 Unauthorized", ""), false, "give a token"),
        (http("403 Forbidden", ""), false, "give a token"),
        (
            http("404 Not Found", ""),
            false,
            "see to the name of the repository",
        ),
        (http("418 I'm a teapot", ""), false, "HTTP 418"),
        (
            http("302 Found", "Location: https://elsewhere.example/x\r\n"),
            false,
            "elsewhere.example",
        ),
        (http("302 Found", ""), false, "is not followed"),
        (long, false, "longer than 10 MiB"),
        (
            Fault::Http("200 OK", String::new(), "{}".to_owned()),
            false,
            "it is no list",
        ),
        (
            Fault::Http("200 OK", String::new(), "<html>".to_owned()),
            true,
            "it is no JSON",
        ),
    ] {
        let github = Github::start(world.clone());
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let wrong = fault.clone();
        github.script(move |_, _, _| Some(wrong.clone()));
        let outcome = sync(&*store, &github).await;
        let error = &outcome.failure().unwrap().error;
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.passes(), passes, "{error}");
        assert!(!format!("{outcome:?}").contains("t0ken-canary"));
    }
}

/// The token goes to nobody but the server that it is for.
#[tokio::test]
async fn another_server_is_never_asked() {
    let world = World {
        commits: line(3, DAY),
        deployments: vec![deployed(1, 1, NOW - DAY)],
        ..World::default()
    };
    let (github, other) = (Github::start(world.clone()), Github::start(world.clone()));
    let elsewhere = format!(
        "{}/repos/acme/shop/deployments?per_page=100&page=2",
        other.url()
    );
    for redirect in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let elsewhere = elsewhere.clone();
        github.script(move |got, _, _| {
            let is_list = got.place.contains("/deployments?");
            is_list.then(|| {
                if redirect {
                    http(
                        "307 Temporary Redirect",
                        &format!("Location: {elsewhere}\r\n"),
                    )
                } else {
                    Fault::NextAt(elsewhere.clone())
                }
            })
        });
        let outcome = sync(&*store, &github).await;
        let error = outcome.failure().unwrap().error.to_string();
        assert!(error.contains("another server (127.0.0.1)"), "{error}");
        assert_eq!(other.got().len(), 0);
    }
    // A renamed repository moves on the same server.
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut request = request();
    "acme/old-shop".clone_into(&mut request.repositories[0].name);
    let url = github.url();
    github.script(move |got, _, _| {
        let place = got.place.strip_prefix("/repos/acme/old-shop/")?;
        let headers = format!("Location: {url}/repos/acme/shop/{place}\r\n");
        Some(http("301 Moved Permanently", &headers))
    });
    let outcome = sync_with(&*store, &github, &request).await;
    assert!(outcome.failure().is_none(), "{outcome:?}");
    assert_eq!(deployments(&*store).await.len(), 1);
    for got in github.got() {
        assert_eq!(got.header("authorization"), Some("Bearer t0ken-canary"));
    }
}
