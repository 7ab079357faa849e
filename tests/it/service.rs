//! `atalaya serve` and `atalaya jobs` by the real binary: who runs the jobs, what happens when a
//! service dies, hangs or is told to end, and what it tells systemd.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;

use crate::pty::{Pty, console};
use crate::serving::{
    EACH_SECOND, PATIENCE, Service, atalaya, configure, error_of, history, holder, home, json,
    results, run, wait_for,
};

fn long() -> bool {
    std::env::var_os("ATALAYA_TEST_LONG").is_some()
}

/// Far longer than a lease, and not as long as a store waits for a lock.
const HELD_UP: Duration = Duration::from_secs(15);

/// A holder is killed, or suspended and woken after another took over; the jobs go on, each slot
/// once, and what the woken one does is nothing.
fn take_overs(services: usize, times: usize) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home(EACH_SECOND);
    let mut running: Vec<Service> = (0..services).map(|_| Service::start(home.path())).collect();
    for time in 0..times {
        let (fence, pid) = wait_for("a holder", || holder(home.path(), "host/"));
        let before = results(home.path(), "health_sample", "ok");
        let Some(index) = running.iter().position(|service| service.pid() == pid) else {
            panic!("{pid} holds the lease and is none of ours")
        };
        let suspended = random.random_bool(0.5);
        if suspended {
            running[index].signal(Signal::STOP);
        } else {
            running[index].kill();
        }
        let taken = || holder(home.path(), "host/").filter(|(next, _)| *next > fence);
        let begin = Instant::now();
        let mut found = None;
        // One that is suspended in the middle of a write keeps all others from the file: no lease
        // can be taken before it goes on.
        while found.is_none() && !(suspended && begin.elapsed() > HELD_UP) {
            assert!(begin.elapsed() < PATIENCE, "take-over {time}");
            std::thread::sleep(Duration::from_millis(50));
            found = taken();
        }
        if suspended {
            running[index].signal(Signal::CONT);
        } else {
            running[index] = Service::start(home.path());
        }
        match found {
            Some((_, other)) => assert_ne!(other, pid, "take-over {time}"),
            None => println!("take-over {time}: it was suspended in a write"),
        }
        wait_for("runs of the next holder", || {
            (results(home.path(), "health_sample", "ok") > before).then_some(())
        });
    }
    for service in running {
        service.end();
    }
    assert_eq!(
        holder(home.path(), "host/"),
        None,
        "each gave its lease back"
    );
    let runs = history(home.path(), "health_sample");
    let slots: BTreeSet<&str> = runs
        .iter()
        .map(|run| run["slot_at"].as_str().unwrap())
        .collect();
    assert_eq!(slots.len(), runs.len(), "a slot was run twice");
    let mut by_start: Vec<(&str, i64)> = runs
        .iter()
        .map(|run| {
            (
                run["started_at"].as_str().unwrap(),
                run["fence"].as_i64().unwrap(),
            )
        })
        .collect();
    by_start.sort_unstable();
    assert!(
        by_start.is_sorted_by_key(|(_, fence)| *fence),
        "a former holder began a run: {by_start:?}"
    );
}

#[test]
fn two_services_take_over_from_each_other() {
    take_overs(2, if long() { 100 } else { 5 });
}

#[test]
fn five_services_take_over_from_each_other() {
    take_overs(5, if long() { 100 } else { 4 });
}

/// A service is suspended in the middle of a run. Another one runs the slot again; what the first one
/// says of it afterwards is not taken.
#[test]
fn a_run_of_a_suspended_service_is_run_by_another() {
    let home = home(EACH_SECOND);
    let mut first = atalaya(home.path(), &["serve"]);
    first.env("FAILPOINTS", "health_sample=sleep(1500)");
    let first = Service::of(first);
    let begun = wait_for("a run", || {
        let runs = history(home.path(), "health_sample");
        runs.into_iter().find(|run| run["result"].is_null())
    });
    first.signal(Signal::STOP);
    let id = begun["id"].to_string();
    let shown = || json(home.path(), &["jobs", "show", &id, "--json"]);
    let second = Service::start(home.path());
    let fence = begun["fence"].as_i64().unwrap();
    if shown()["result"].is_null() {
        wait_for("the next holder", || {
            holder(home.path(), "host/").filter(|(next, _)| *next > fence)
        });
        let ended = wait_for("the end of the run", || {
            Some(shown()).filter(|run| run["result"] == "ok" || run["result"] == "lost")
        });
        first.signal(Signal::CONT);
        wait_for("further runs", || {
            (results(home.path(), "health_sample", "ok") > 3).then_some(())
        });
        assert_eq!(shown()["result"], ended["result"]);
    } else {
        first.signal(Signal::CONT);
    }
    second.end();
    first.end();
}

#[test]
fn a_run_that_panics_is_recorded_and_the_others_go_on() {
    let home = home(&format!(
        "{EACH_SECOND}[jobs.retention]\nschedule = \"1s\"\n"
    ));
    let mut command = atalaya(home.path(), &["serve"]);
    command.env(
        "FAILPOINTS",
        "health_sample=1*panic(asked for by a test)->off;retention=1*panic(asked for by a test)->off",
    );
    let service = Service::of(command);
    for job in ["health_sample", "retention"] {
        wait_for(job, || (results(home.path(), job, "ok") > 1).then_some(()));
    }
    for job in ["health_sample", "retention"] {
        let runs = history(home.path(), job);
        let panicked: Vec<_> = runs
            .iter()
            .filter(|run| run["result"] == "panicked")
            .collect();
        assert_eq!(panicked.len(), 1, "{runs:?}");
        let id = panicked[0]["id"].to_string();
        let shown = json(home.path(), &["jobs", "show", &id, "--json"]);
        assert_eq!(shown["output"], "it panicked: asked for by a test\n");
    }
    service.end();
}

/// A job that never waits and so cannot be ended: it holds a thread of the runtime. The end comes in time all the same,
/// the lease is given back, and the slot is run by the next service.
#[test]
fn a_service_ends_in_time_whatever_its_jobs_do() {
    let home = home(EACH_SECOND);
    let mut command = atalaya(home.path(), &["serve"]);
    command.env("FAILPOINTS", "health_sample=1*sleep(600000)->off");
    let service = Service::of(command);
    wait_for("a run", || {
        (!history(home.path(), "health_sample").is_empty()).then_some(())
    });
    service.end();
    assert_eq!(holder(home.path(), "host/"), None);
    let runs = history(home.path(), "health_sample");
    assert_eq!(runs[0]["result"], "interrupted", "{runs:?}");
    let slot = runs[0]["slot_at"].clone();
    let next = Service::start(home.path());
    wait_for("runs", || {
        (results(home.path(), "health_sample", "ok") > 0).then_some(())
    });
    let runs = history(home.path(), "health_sample");
    assert_eq!(runs.iter().filter(|run| run["slot_at"] == slot).count(), 1);
    next.end();
}

/// What systemd hears: ready, a status, that it lives, that it reads its configuration, its end.
#[test]
fn systemd_is_told() {
    let home = home(EACH_SECOND);
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = atalaya(home.path(), &["serve"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000");
    let service = Service::of(command);
    let mut heard = String::new();
    let mut hear = |wanted: &str| {
        let begin = Instant::now();
        while !heard.contains(wanted) {
            let mut message = [0; 4096];
            let length = socket.recv(&mut message).unwrap();
            heard.push_str(&String::from_utf8_lossy(&message[..length]));
            heard.push('\n');
            assert!(begin.elapsed() < PATIENCE, "no {wanted} in {heard}");
        }
        heard.clear();
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("jobs of this host: run here");
    configure(
        home.path(),
        "[jobs.health_sample]\nschedule = \"1h\"\n[dora]\nenvironment = \"live\"\n",
    );
    service.signal(Signal::HUP);
    hear("RELOADING=1\nMONOTONIC_USEC=");
    hear("READY=1");
    let pid = service.pid();
    let said = service.end();
    hear("STOPPING=1");
    assert!(
        said.contains("changed: jobs.health_sample.schedule"),
        "{said}"
    );
    assert!(said.contains("changed: dora.environment"), "{said}");
    assert!(pid > 0);
}

#[test]
fn a_configuration_that_is_read_again_is_taken_whole_or_not_at_all() {
    let home = home("");
    let service = Service::start(home.path());
    wait_for("a holder", || holder(home.path(), "host/"));
    configure(
        home.path(),
        "[jobs.health_sample]\nschedule = \"0 0 30 2 *\"\n",
    );
    service.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(500));
    configure(
        home.path(),
        &format!("{EACH_SECOND}[stores.mysql]\nca_file = \"/x\"\n"),
    );
    service.signal(Signal::HUP);
    wait_for("runs each second", || {
        (results(home.path(), "health_sample", "ok") > 2).then_some(())
    });
    let said = service.end();
    let refused = said.find("was not taken, the old one stays").unwrap();
    assert!(
        said[refused..].contains("jobs.health_sample.schedule: `0 0 30 2 *` never comes"),
        "{said}"
    );
    assert!(
        said.contains("changed, but only after a restart: stores.mysql.ca_file"),
        "{said}"
    );
}

/// What cannot be sent through is refused at the start and when it is read again, with its place.
#[test]
fn a_channel_that_cannot_be_used_is_not_taken() {
    for broken in [
        "[alerts.channels.ill]\nkind = \"webhook\"\nurl = \"https://localhost/x\"\nca_file = \"/nowhere/ca.pem\"\n",
        "[alerts.channels.ill]\nkind = \"slack\"\nurl_env = \"NO_SUCH_VARIABLE\"\n",
        "[alerts.heartbeat]\nurl = \"https://localhost/x\"\nca_file = \"/nowhere/ca.pem\"\n",
    ] {
        let allowed = "[alerts]\nallow_hosts = [\"localhost\"]\n";
        let home = home(allowed);
        let service = Service::start(home.path());
        wait_for("a holder", || holder(home.path(), "host/"));
        configure(home.path(), &format!("{allowed}{broken}"));
        service.signal(Signal::HUP);
        std::thread::sleep(Duration::from_secs(2));
        let said = service.end();
        let refused = said.find("was not taken, the old one stays").unwrap();
        assert!(said[refused..].contains("alerts."), "{said}");
        let started = run(home.path(), &["serve"]);
        assert_eq!(started.status.code(), Some(2), "{}", error_of(&started));
    }
}

#[test]
fn the_names_of_jobs_are_those_that_rules_can_name() {
    let all = atalaya::workers::jobs::all();
    let names: Vec<&str> = all.iter().map(|job| job.spec().name).collect();
    assert_eq!(names, atalaya::domain::job::NAMES);
}

#[test]
fn mistakes_in_the_configuration_name_their_place_and_the_remedy() {
    for (jobs, told) in [
        (
            "[jobs.health_sample]\nschedule = \"61 * * * *\"\n",
            "config.toml: jobs.health_sample.schedule: `61 * * * *` is no schedule",
        ),
        (
            "[jobs.health_sample]\nschedule = \"0 0 30 2 *\"\n",
            "never comes",
        ),
        (
            "[jobs.health_sample]\nschedule = \"often\"\n",
            "write a cron expression",
        ),
        (
            "[jobs.health_sampel]\nenabled = false\n",
            "config.toml: jobs.health_sampel: there is no such job; did you mean `health_sample`?",
        ),
        (
            "[jobs.health_sample]\nschedul = \"1m\"\n",
            "did you mean `schedule`?",
        ),
        (
            "timezone = \"Europe/Madird\"\n",
            "service.timezone: `Europe/Madird` is no time zone",
        ),
    ] {
        let home = home(jobs);
        for arguments in [
            &["serve"][..],
            &["jobs", "list"],
            &["config", "check"],
            &["health"],
        ] {
            let output = run(home.path(), arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
            let error = error_of(&output);
            assert!(error.contains(told), "{arguments:?}: {error}");
        }
    }
    let home = home("");
    for arguments in [
        &["jobs", "run", "retnetion"][..],
        &["jobs", "show", "retnetion"],
        &["jobs", "history", "retnetion"],
        &["jobs", "enable", "retnetion"],
    ] {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            error_of(&output).contains("did you mean `retention`?"),
            "{output:?}"
        );
    }
    let output = run(home.path(), &["jobs", "show", "77"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(error_of(&output).contains("there is no run 77"));
}

#[test]
fn a_job_is_run_here_when_no_service_runs_and_there_when_one_does() {
    let home = home("");
    let ran = json(home.path(), &["jobs", "run", "retention", "--json"]);
    assert_eq!(
        (ran["result"].as_str(), ran["cause"].as_str()),
        (Some("ok"), Some("request"))
    );
    assert!(
        ran["output"]
            .as_str()
            .unwrap()
            .contains("logs: kept 90 days"),
        "{ran}"
    );
    assert_eq!(holder(home.path(), "store"), None);
    let service = Service::start(home.path());
    let (fence, pid) = wait_for("a holder", || holder(home.path(), "store"));
    assert_eq!(pid, service.pid());
    let ran = json(home.path(), &["jobs", "run", "retention", "--json"]);
    assert_eq!(ran["fence"].as_i64(), Some(fence));
    let skipped = run(home.path(), &["jobs", "run", "repair"]);
    assert!(skipped.status.success());
    let text = String::from_utf8_lossy(&skipped.stdout).into_owned();
    assert!(
        text.contains("skipped") && text.contains("there is no Cassandra to care for"),
        "{text}"
    );
    assert_eq!(history(home.path(), "retention").len(), 2);
    let listed = run(home.path(), &["jobs", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains(&format!("(process {pid})")), "{text}");
    service.end();
    let listed = run(home.path(), &["jobs", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("run by nobody now"), "{text}");
}

#[test]
fn a_job_that_is_off_is_not_run_until_it_is_on() {
    let home = home(EACH_SECOND);
    assert!(
        run(home.path(), &["jobs", "disable", "health_sample"])
            .status
            .success()
    );
    let service = Service::start(home.path());
    let (_, pid) = wait_for("a holder", || holder(home.path(), "host/"));
    assert_eq!(pid, service.pid());
    // A run that is asked for is run; by its schedule none was, though seconds have passed.
    let ran = json(home.path(), &["jobs", "run", "health_sample", "--json"]);
    assert_eq!(ran["result"], "ok");
    assert_eq!(history(home.path(), "health_sample").len(), 1);
    let text = run(home.path(), &["jobs", "list"]).stdout;
    assert!(String::from_utf8_lossy(&text).contains("off, by hand"));
    assert!(
        run(home.path(), &["jobs", "enable", "health_sample"])
            .status
            .success()
    );
    wait_for("runs", || {
        (history(home.path(), "health_sample").len() > 2).then_some(())
    });
    service.end();
    let history = run(home.path(), &["health", "--history"]);
    let text = String::from_utf8_lossy(&history.stdout).into_owned();
    assert!(
        text.contains("memory_used_ratio") && text.contains("load_1m"),
        "{text}"
    );
}

/// A console is the service when there is none, and only watches beside one.
#[test]
fn a_console_says_who_runs_the_jobs_and_does_so_itself_when_nobody_does() {
    let home = home(EACH_SECOND);
    let mut alone = Pty::start(console(home.path()), 40, 140);
    wait_for("runs", || {
        (results(home.path(), "health_sample", "ok") > 1).then_some(())
    });
    alone.send("3");
    alone.wait_for_text("SQLite in");
    alone.send("x");
    alone.wait_for_text("jobs of this host");
    alone.wait_for_text("run here");
    alone.send("\x1b");
    alone.wait_until_gone("What was checked");
    alone.send("q");
    assert!(alone.ended().success());
    let service = Service::start(home.path());
    let (_, pid) = wait_for("a holder", || holder(home.path(), "host/"));
    assert_eq!(pid, service.pid());
    let mut beside = Pty::start(console(home.path()), 40, 140);
    beside.send("3");
    beside.wait_for_text("SQLite in");
    beside.wait_for_text(&format!("(process {pid})"));
    beside.send("x");
    beside.wait_for_text("What was checked");
    beside.send("\x1b");
    beside.wait_until_gone("What was checked");
    beside.send("q");
    assert!(beside.ended().success());
    service.end();
}

/// The unit is one that systemd takes, and it gives away little.
#[test]
fn the_unit_of_systemd_is_right_and_hardened() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unit = std::fs::read_to_string(root.join("packaging/systemd/atalaya.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atalaya.service");
    // The program is not installed where the tests run.
    let here = unit.replace("/usr/bin/atalaya", env!("CARGO_BIN_EXE_atalaya"));
    assert_ne!(here, unit);
    std::fs::write(&file, here).unwrap();
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(&file);
        command.output().unwrap()
    };
    let verified = analyze(&["verify", "--man=no"]);
    assert!(
        verified.status.success() && verified.stderr.is_empty(),
        "{verified:?}"
    );
    // 0 is the least exposed, 100 the most.
    let secure = analyze(&["security", "--offline=true", "--threshold=20"]);
    assert!(
        secure.status.success(),
        "{}",
        String::from_utf8_lossy(&secure.stdout)
    );
}
