#![expect(clippy::unwrap_used, reason = "tests")]
use super::scope::{read_scope, scope_text};
use super::*;
use crate::service::dora::{self, Loaded};
use crate::tui::theme::Theme;
use atalaya_domain::dora::Profile;
use atalaya_domain::dora::fixtures::{carrying, hour, incident};
use atalaya_query::Zone;

fn with_context<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let theme = Theme::plain();
    work(&Context {
        now: hour(700.0),
        zone: Zone::Utc,
        area: Rect::new(0, 0, 80, 20),
        theme: &theme,
        unicode: true,
    })
}

fn figures(request: &ReportRequest) -> Arc<Figures> {
    let mut second = carrying("shop@v2", 650.0, 3.0);
    second.request_id = Some(RequestId::new("req-2"));
    let loaded = Loaded {
        deployments: vec![carrying("shop@v1", 600.0, 6.0), second],
        incidents: vec![incident("INC-1", 651.0, Some(653.0))],
        ..Loaded::default()
    };
    let report = dora::compute(&loaded, request, hour(700.0));
    Arc::new(Figures { loaded, report })
}

fn act(tab: &mut DoraTab, action: Action) -> Vec<Effect> {
    with_context(|context| tab.update(TabEvent::Action(action), context))
}

/// A tab that has its first answer.
fn loaded() -> DoraTab {
    let mut tab = DoraTab::default();
    let effects = with_context(|context| tab.update(TabEvent::Entered, context));
    let [
        Effect::Work(DoraEffect::Load {
            question, request, ..
        }),
    ] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    let result = Ok(figures(request));
    with_context(|context| tab.loaded(*question, result, context));
    tab
}

#[test]
fn an_answer_to_an_older_question_is_dropped_and_trouble_keeps_the_figures() {
    let mut tab = loaded();
    let older = tab.asked;
    assert_eq!(act(&mut tab, Action::Reload).len(), 1);
    let answer = |tab: &mut DoraTab, question, result| {
        with_context(|context| tab.loaded(question, result, context));
    };
    answer(&mut tab, older, Err("late".to_owned()));
    assert!(tab.loading && tab.outages.is_empty());
    let asked = tab.asked;
    answer(&mut tab, asked, Err("gone".to_owned()));
    let banner = with_context(|context| tab.status(context).banner).unwrap();
    assert!(
        banner.starts_with("gone, since ") && banner.ends_with("trying again"),
        "{banner}"
    );
    assert!(tab.figures.is_some());
}

#[test]
fn enter_opens_the_deployment_and_esc_closes_it() {
    let mut tab = loaded();
    act(&mut tab, Action::Open);
    assert_eq!(
        tab.pages[0].subject,
        Subject::Deployment("shop@v2".to_owned())
    );
    assert!(!tab.at_top());
    act(&mut tab, Action::Back);
    assert!(tab.at_top());
    act(&mut tab, Action::HistoryForward);
    assert_eq!(tab.pages.len(), 1);
}

#[test]
fn a_deployment_that_something_leads_to_opens_in_a_window_that_has_it() {
    let mut tab = loaded();
    let mut go = |id: &str, at| {
        let id = id.to_owned();
        let event = TabEvent::Go(Destination::Deployment { id, at });
        with_context(|context| tab.update(event, context))
    };
    assert!(go("shop@v1", hour(600.0)).is_empty(), "it is on the screen");
    let effects = go("shop@v0", hour(-2_000.0));
    let [Effect::Work(DoraEffect::Load { request, .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    let Window::Between(range) = request.window else {
        panic!("{request:?}")
    };
    assert!(range.contains(hour(-2_000.0)) && range.until < hour(0.0));
    assert_eq!(tab.depth(), Some(2));
    act(&mut tab, Action::Back);
    act(&mut tab, Action::Back);
    assert_eq!(tab.depth(), None);
}

#[test]
fn a_card_opens_its_explanation_and_from_there_the_deployment() {
    let mut tab = loaded();
    act(&mut tab, Action::Right);
    act(&mut tab, Action::Open);
    assert_eq!(
        tab.pages[0].subject,
        Subject::Explanation(Metric::ChangeLeadTime)
    );
    let lines = with_context(|context| tab.page_lines(80, context));
    assert!(
        lines.iter().any(|line| line.text.contains("median")),
        "{lines:?}"
    );
}

#[test]
fn trace_goes_to_the_request_of_the_row() {
    let mut tab = loaded();
    assert!(
        matches!(&act(&mut tab, Action::Trace)[..], [Effect::Go(Destination::Trace(ids))] if ids[0].as_str() == "req-2")
    );
    act(&mut tab, Action::Down);
    assert!(matches!(
        &act(&mut tab, Action::Trace)[..],
        [Effect::Notice(_)]
    ));
}

#[test]
fn windows_go_round_and_are_asked_for() {
    let mut tab = loaded();
    for days in [90, 7, 30] {
        let effects = act(&mut tab, keys::WINDOW);
        let [Effect::Work(DoraEffect::Load { request, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(request.window, crate::service::dora::Window::days(days));
    }
}

#[test]
fn scopes_are_read_and_wrong_ones_say_where() {
    let old = ReportRequest::days(30);
    let request = read_scope("shop team:blue env:staging profile:iact", &old, hour(700.0)).unwrap();
    assert_eq!(request.scope.service.as_deref(), Some("shop"));
    assert_eq!(
        (
            request.scope.team.as_deref(),
            request.scope.environment.as_str()
        ),
        (Some("blue"), "staging")
    );
    assert_eq!(request.rules.profile, Profile::Iact);
    assert_eq!(
        read_scope(&scope_text(&request), &old, hour(700.0)).unwrap(),
        request
    );
    let (offset, length, reason) = read_scope("shop colour:red", &old, hour(700.0)).unwrap_err();
    assert_eq!((offset, length), (5, 10));
    assert!(reason.contains("service:"));
}

#[test]
fn figures_grow_old_only_on_the_screen() {
    let mut tab = loaded();
    let theme = Theme::plain();
    let later = Context {
        now: hour(701.0),
        zone: Zone::Utc,
        area: Rect::new(0, 0, 80, 20),
        theme: &theme,
        unicode: true,
    };
    tab.update(TabEvent::Left, &later);
    assert!(tab.update(TabEvent::Tick, &later).is_empty());
    assert_eq!(tab.update(TabEvent::Entered, &later).len(), 1);
}
