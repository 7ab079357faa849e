//! Jobs, their runs, and the measures over time.

use super::*;
use crate::service::health_history::Series;
use crate::service::jobs::{JobInfo, JobView, JobsView};
use crate::tui::ask::Question;
use atalaya_domain::job::{Cause, RunResult};
use atalaya_domain::lease::{FenceNumber, Holder, Lease};
use atalaya_store::metrics::JobRun;

fn before(seconds: u64) -> Timestamp {
    now().saturating_sub(Duration::from_secs(seconds))
}

fn run(job: &str, result: Option<RunResult>, output: &str) -> JobRun {
    JobRun {
        id: 7,
        lease: "store".to_owned(),
        job: job.to_owned(),
        slot_at: before(600),
        attempt: 1,
        cause: Cause::Schedule,
        fence: FenceNumber(3),
        host: "web-1 \u{1b}[2J".to_owned(),
        started_at: before(600),
        finished_at: result.map(|_| before(588)),
        result,
        output: output.to_owned(),
    }
}

fn job(name: &'static str, last: Option<JobRun>) -> JobView {
    JobView {
        info: JobInfo {
            name,
            what: "does what it is called",
            lease: "store".to_owned(),
            schedule: "every 5m".to_owned(),
            zone: "UTC",
            enabled: true,
        },
        switched: None,
        next_run_at: Some(now().saturating_add(Duration::from_secs(90))),
        requested_at: None,
        last_success_at: last.as_ref().map(|run| run.started_at),
        last,
    }
}

fn jobs() -> JobsView {
    let mut off = job("retention", None);
    off.switched = Some(false);
    JobsView {
        at: now(),
        jobs: vec![
            job("alerts", Some(run("alerts", Some(RunResult::Ok), ""))),
            job("backup", Some(run("backup", Some(RunResult::Failed), ""))),
            job("git_sync", Some(run("git_sync", None, ""))),
            off,
        ],
        leases: vec![Lease {
            name: "store".to_owned(),
            fence: FenceNumber(3),
            holder: Holder {
                host: "web-1".to_owned(),
                pid: 4_711,
                id: "t".to_owned(),
            },
            length: Duration::from_secs(30),
            taken_at: before(9_000),
            renewed_at: before(2),
            expires_at: now().saturating_add(Duration::from_secs(28)),
        }],
    }
}

/// The question of the first work that was asked for.
fn question_of(effects: &[Effect]) -> Question {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Work(
            InfraEffect::Jobs { question, .. }
            | InfraEffect::Runs { question, .. }
            | InfraEffect::History { question, .. },
        ) => Some(*question),
        _ => None,
    });
    asked.unwrap()
}

impl Screen {
    fn answer(&mut self, answer: InfraAnswer) -> Vec<Effect> {
        let theme = self.theme.clone();
        let context = Context {
            now: now(),
            zone: Zone::Utc,
            area: self.area,
            theme: &theme,
            unicode: true,
        };
        self.tab.answered(answer, &context)
    }

    fn with_jobs(mut self) -> Self {
        let infos: Vec<JobInfo> = jobs().jobs.into_iter().map(|job| job.info).collect();
        self.tab.jobs = Jobs::of(infos.into());
        let effects = self.send(TabEvent::Entered);
        let question = question_of(&effects);
        self.answer(InfraAnswer::Jobs {
            question,
            at: now(),
            result: Ok(jobs()),
        });
        self
    }

    fn press(&mut self, action: Action) -> Vec<Effect> {
        self.send(TabEvent::Action(action))
    }
}

#[test]
fn jobs_stand_below_the_files_at_both_sizes() {
    insta::assert_snapshot!("jobs_80x24", Screen::loaded(80, 21).with_jobs().text());
    insta::assert_snapshot!("jobs_200x60", Screen::with_ring(200, 57).with_jobs().text());
    let mut alone = Screen::new(80, 21);
    alone.send(TabEvent::Health(Arc::new(health(None))));
    let text = alone.with_jobs().text();
    assert!(text.contains("retention  never"), "{text}");
}

#[test]
fn a_job_opens_with_its_runs_and_the_output_of_the_last() {
    let mut screen = Screen::loaded(80, 21).with_jobs();
    screen.press(Action::NextPanel);
    screen.press(Action::Down);
    let effects = screen.press(Action::Open);
    assert!(screen.text().contains("being read"), "{}", screen.text());
    let question = question_of(&effects);
    let output = "the disk is full \u{1b}]0;x\u{7}\nfree 2 GiB";
    let runs = vec![run("backup", Some(RunResult::Failed), output)];
    screen.answer(InfraAnswer::Runs {
        question,
        result: Ok(runs),
    });
    let text = screen.text();
    for wanted in ["failed in 12", "the disk is full", "free 2 GiB", "web-1"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains('\u{1b}'));
    // What comes for an older question is not what is open now.
    screen.press(Action::Back);
    screen.press(Action::Up);
    screen.press(Action::Open);
    screen.answer(InfraAnswer::Runs {
        question,
        result: Ok(vec![run("backup", Some(RunResult::Ok), "of another job")]),
    });
    assert!(!screen.text().contains("of another job"));
}

#[test]
fn a_job_runs_now_after_a_yes_and_only_the_one_that_was_asked_about() {
    let mut screen = Screen::loaded(80, 21).with_jobs();
    let effects = screen.press(keys::RUN);
    assert!(
        matches!(&effects[..], [Effect::Notice(_)]),
        "the files have the keys: {effects:?}"
    );
    screen.press(Action::NextPanel);
    screen.press(Action::Down);
    let effects = screen.press(keys::RUN);
    assert!(
        matches!(&effects[..], [Effect::Confirm { kind: RUN, question }] if question.contains("backup"))
    );
    // The list changes while the question is open.
    let question = question_of(&screen.press(Action::Reload));
    let mut fewer = jobs();
    fewer.jobs.remove(0);
    screen.answer(InfraAnswer::Jobs {
        question,
        at: now(),
        result: Ok(fewer),
    });
    let effects = screen.send(TabEvent::Confirmed { kind: RUN });
    assert!(matches!(
        &effects[..],
        [Effect::Work(InfraEffect::Run { lease, job: "backup" })] if lease == "store"
    ));
    let effects = screen.answer(InfraAnswer::Asked(Ok("backup runs".to_owned())));
    assert!(matches!(
        &effects[..],
        [Effect::Notice(_), Effect::Work(InfraEffect::Jobs { .. })]
    ));
}

#[test]
fn tab_goes_round_the_tables_that_something_stands_in() {
    let mut screen = Screen::with_ring(200, 57).with_jobs();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(screen.tab.panel().unwrap());
        screen.press(Action::NextPanel);
    }
    assert_eq!(seen, [Panel::Files, Panel::Jobs, Panel::Ring, Panel::Files]);
    screen.press(Action::PreviousPanel);
    assert_eq!(screen.tab.panel(), Some(Panel::Files));
}

#[test]
fn the_jobs_stay_on_the_screen_while_their_store_is_away() {
    let mut screen = Screen::loaded(80, 21).with_jobs();
    let question = question_of(&screen.press(Action::Reload));
    screen.answer(InfraAnswer::Jobs {
        question,
        at: now(),
        result: Err("metrics are away".to_owned()),
    });
    assert!(screen.text().contains("backup"));
    let banner = screen.tab.status(&screen.context()).banner.unwrap();
    assert!(banner.contains("metrics are away"), "{banner}");
}

#[test]
fn measures_have_a_trend_their_worst_value_and_their_limit() {
    let mut screen = Screen::loaded(120, 30);
    let first = screen.press(keys::HISTORY);
    assert!(screen.text().contains("being read"));
    let points = |values: &[f64]| {
        let steps = (0_u64..).step_by(3_600);
        let points = steps.zip(values).map(|(age, value)| (before(age), *value));
        let mut points: Vec<_> = points.collect();
        points.reverse();
        points
    };
    let one = |component: &str, measure: &str, values: &[f64]| Series {
        component: component.to_owned(),
        measure: measure.to_owned(),
        points: points(values),
    };
    let series = vec![
        one("disk/web-1:/", "used_ratio", &[0.79, 0.86, 0.5]),
        one("host/web-1", "load_1m", &[1.5, 3.25]),
        one("metrics/web-1", "up", &[1.0, 0.0, 1.0]),
    ];
    screen.answer(InfraAnswer::History {
        question: question_of(&first),
        result: Ok(series),
    });
    insta::assert_snapshot!("history_120x30", screen.text());
    // Again: over a longer time; the answer to the first is dropped.
    screen.press(keys::HISTORY);
    assert!(screen.text().contains("7 days"));
    screen.answer(InfraAnswer::History {
        question: question_of(&first),
        result: Ok(Vec::new()),
    });
    assert!(screen.text().contains("being read"));
}
