#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::OpenOptionsExt as _;

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> AlertsConfig {
    toml::from_str(text).unwrap()
}

fn mistake(text: &str) -> String {
    match toml::from_str::<AlertsConfig>(text) {
        Ok(config) => {
            let mistake = resolve(&config, PolicyConfig::default()).unwrap_err();
            format!("{}: {}", mistake.key, mistake.message)
        }
        Err(error) => error.to_string(),
    }
}

const RULE: &str = r#"
[[rules]]
name = "shop-errors"
measure = { kind = "count", query = "level>=error source:shop", window = "5m" }
when = ">= 10"
"#;

#[test]
fn nothing_configured_watches_with_the_built_in_rules_and_writes_to_a_file() {
    let settings = resolve(&AlertsConfig::default(), PolicyConfig::default()).unwrap();
    assert_eq!(settings.rules.len(), built_in::rules().len());
    assert_eq!(settings.channels.keys().collect::<Vec<_>>(), ["file"]);
    let channels = channels::resolve(&settings, "/var/lib/atalaya".as_ref(), &|_| None);
    assert!(
        matches!(&channels[0].1, Ok(ChannelKind::File { path }) if path.ends_with("alerts.jsonl"))
    );
}

#[test]
fn a_configured_rule_takes_the_place_of_a_built_in_one() {
    let text = RULE.replace("shop-errors", "errors");
    let settings = resolve(&parsed(&text), PolicyConfig::default()).unwrap();
    let errors: Vec<&Rule> = settings
        .rules
        .iter()
        .filter(|rule| rule.name == "errors")
        .collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].measure.query().unwrap().contains("shop"));
}

/// One clear error each, with the place and what to write.
#[test]
fn mistakes_name_their_place_and_the_remedy() {
    let rule = |from: &str, to: &str| RULE.replace(from, to);
    for (text, place, remedy) in [
        (rule("level>=error", "level>=errr"), "rules[1] `shop-errors`: query", "debug, info"),
        (rule("level>=error", "since:5m"), "query", "take `since:`"),
        (rule("5m", "90s"), "window", "write `5m`"),
        (rule("5m", "0m"), "window", "write `5m`"),
        (rule("5m", "30d"), "window", "write `5m`"),
        (rule("5m", "five"), "no length of time", "`5m`"),
        (rule(">= 10", "10"), "when", "`>= 10`"),
        (rule(">= 10", ">= nan"), "when", "`>= 10`"),
        (rule("shop-errors", "shop errors"), "name", "`shop-errors`"),
        (format!("{RULE}{RULE}"), "rules[2]", "name"),
        (format!("{RULE}channels = [\"opps\"]\n[channels.ops]\nkind = \"file\"\n"), "there is no channel `opps`", "did you mean `ops`?"),
        (format!("{RULE}clear = 12\n"), "clear", "a value that is well"),
        (format!("{RULE}inhibited_by = [\"cassandra-node\"]\n"), "inhibited_by", "did you mean `cassandra-node-down`?"),
        (format!("{RULE}inhibited_by = [\"shop-errors\"]\n"), "inhibited_by", "take one out"),
        (format!("{RULE}treshold = 3\n"), "treshold", "expected one of"),
        (rule("kind = \"count\"", "kind = \"cuont\""), "cuont", "count"),
        ("evaluate = \"2h\"".to_owned(), "evaluate", "write `1m`"),
        ("disable = [\"eror\"]".to_owned(), "disable", "there are"),
        ("[channels.hook]\nkind = \"webhook\"\n".to_owned(), "channels.hook.url_env", "url_file"),
        ("[channels.hook]\nkind = \"webhook\"\nurl = \"https://a.example/x\"\n".to_owned(), "`a.example` is not allowed", "allow_hosts"),
        ("allow_hosts = [\"a.example\"]\n[channels.hook]\nkind = \"webhook\"\nurl = \"http://a.example/x\"\n".to_owned(), "url", "https://"),
        ("[channels.c]\nkind = \"command\"\ncommand = []\n".to_owned(), "channels.c.command", "write the program"),
        ("[channels.s]\nkind = \"slack\"\nurl_env = \"ATALAYA_SLACK\"\n".to_owned(), "url_env", "without ATALAYA_"),
    ] {
        let message = mistake(&text);
        assert!(message.contains(place) && message.contains(remedy), "{text}\n→ {message}");
    }
    let absent = r#"
[[rules]]
name = "quiet"
measure = { kind = "absence", query = "source:shop" }
when = "< 10"
"#;
    assert!(mistake(absent).contains("`>= 10`"));
    let health = absent.replace(
        "kind = \"absence\", query = \"source:shop\"",
        "kind = \"health\", measure = \"spool.used\"",
    );
    assert!(mistake(&health).contains("did you mean `spool.used_ratio`?"));
}

/// R42: an address with a secret in it is never repeated.
#[test]
fn secrets_come_from_a_variable_or_an_owners_file_and_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mode: u32, text: &str| {
        let path = folder.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).mode(mode);
        std::io::Write::write_all(&mut options.open(&path).unwrap(), text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let read = |text: &str, value: Option<&str>| {
        let settings = resolve(&parsed(text), PolicyConfig::default()).unwrap();
        let variable = |name: &str| value.filter(|_| name == "HOOK").map(str::to_owned);
        channels::resolve(&settings, folder.path(), &variable)
            .into_iter()
            .map(|(_, channel)| channel)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|mistake| format!("{}: {}", mistake.key, mistake.message))
    };
    let slack = "[channels.s]\nkind = \"slack\"\nurl_env = \"HOOK\"\n";
    let good = "https://hooks.slack.com/services/canary-9";
    let shown = format!("{:?}", read(slack, Some(good)).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    for value in [
        None,
        Some("https://evil.example/canary-9"),
        Some("canary-9"),
        Some("http://hooks.slack.com/canary-9"),
    ] {
        let message = read(slack, value).unwrap_err();
        assert!(
            message.contains("channels.s.url_env") && !message.contains("canary"),
            "{message}"
        );
    }
    let open = file("open", 0o644, good);
    let own = file("own", 0o600, &format!("{good}\n"));
    let by_file = |path: &str| format!("[channels.s]\nkind = \"slack\"\nurl_file = \"{path}\"\n");
    assert!(
        read(&by_file(&open), None)
            .unwrap_err()
            .contains("chmod 600")
    );
    read(&by_file(&own), None).unwrap();
    let message = mistake(
        "allow_hosts = [\"a.example\"]\n[channels.h]\nkind = \"webhook\"\nurl = \"https://me:canary-9@a.example/\"\n",
    );
    assert!(
        message.contains("url_env") && !message.contains("canary"),
        "{message}"
    );
}

#[test]
fn mail_needs_the_feature_and_the_policy() {
    let text = "[channels.m]\nkind = \"mail\"\nserver = \"mail.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n";
    let message = mistake(text);
    let expected = if cfg!(feature = "mail") {
        "allow_email"
    } else {
        "not compiled"
    };
    assert!(message.contains(expected), "{message}");
}

proptest! {
    /// Whatever stands in a rule, it is a rule or one error with its place.
    #[test]
    fn any_rule_is_a_rule_or_one_mistake(
        name in "[a-z .-]{0,8}", query in ".{0,20}", window in "[0-9]{0,3}[smhdx]?", when in "[<>=]{0,2} ?[-0-9.ea]{0,5}",
    ) {
        let written = RuleConfig {
            name,
            measure: rules::MeasureConfig::Count {
                query,
                window: window.parse().unwrap_or(Length(Duration::from_secs(300))),
            },
            when,
            clear: None,
            hold: None,
            severity: atalaya_domain::alert::Severity::Info,
            labels: BTreeMap::new(),
            channels: Vec::new(),
            todo: String::new(),
            inhibited_by: Vec::new(),
            enabled: true,
        };
        match written.rule() {
            Ok(rule) => prop_assert!(rule.threshold.is_finite()),
            Err(message) => prop_assert!(message.contains(": "), "{}", message),
        }
        // What is stored reads back.
        let text = serde_json::to_string(&written).unwrap();
        prop_assert_eq!(serde_json::from_str::<RuleConfig>(&text).unwrap(), written);
    }
}
