//! The rules that come with the program, each with what to do. A rule whose measure nobody gives
//! here (no Cassandra, no backups) says "no data" and never fires.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rule::{Comparison, Measure, Rule, RuleOrigin};
use super::{Severity, health};
use crate::dora::Metric;

const MINUTE: Duration = Duration::from_secs(60);

/// All of them, by name.
pub fn rules() -> Vec<Rule> {
    let count = |query: &str, minutes: u32| Measure::Count {
        query: query.to_owned(),
        window: MINUTE * minutes,
    };
    let health = |measure: &str| Measure::Health {
        measure: measure.to_owned(),
    };
    let job = |job: &str| Measure::JobAge {
        job: job.to_owned(),
    };
    let mut rules = vec![
        rule(
            "errors",
            count("level>=error", 5),
            Comparison::AtLeast,
            10.0,
            Severity::Warning,
            "open the errors of these minutes (`atalaya logs 'level>=error since:10m'`) and follow the request ids to what failed first",
        ),
        Rule {
            clear: Some(0.04),
            ..rule(
                "api-failures",
                Measure::Ratio {
                    query: "level>=error source:*access".to_owned(),
                    of: "source:*access".to_owned(),
                    window: MINUTE * 60,
                    fast: Some(MINUTE * 5),
                    least: 20,
                },
                Comparison::Above,
                0.05,
                Severity::Critical,
                "look at the failing requests of the access log, compare with the last deployment, and roll it back if they began with it",
            )
        },
        rule(
            "backup-age",
            job("backup"),
            Comparison::Above,
            25.0,
            Severity::Critical,
            "look at the last runs (`atalaya jobs history backup`), mend what they say, and run the job by hand",
        ),
        Rule {
            hold: MINUTE,
            ..rule(
                "store-down",
                health(health::STORES_FAILING),
                Comparison::AtLeast,
                1.0,
                Severity::Critical,
                "see `atalaya health` for what the store answers, and bring it back; what is read meanwhile waits in the files or in the spool",
            )
        },
        Rule {
            hold: MINUTE * 2,
            inhibited_by: vec!["store-down".to_owned()],
            ..rule(
                "query-latency",
                health(health::STORES_SLOWEST_SECONDS),
                Comparison::Above,
                10.0,
                Severity::Warning,
                "look at Infra for the store that is slow: its disk, its load, and what else runs on it",
            )
        },
        Rule {
            clear: Some(0.78),
            ..rule(
                "backup-disk",
                health(health::BACKUP_DISK_USED_RATIO),
                Comparison::Above,
                0.80,
                Severity::Warning,
                "free space where the backups are, keep fewer of them, or move them to a larger disk",
            )
        },
        rule(
            "cassandra-node-down",
            health(health::RING_NODES_DOWN),
            Comparison::AtLeast,
            1.0,
            Severity::Critical,
            "look at the node's own log and start Cassandra there; repair it when it was away for longer than hints are kept (3 h)",
        ),
        Rule {
            hold: MINUTE * 2,
            clear: Some(30.0),
            inhibited_by: behind_a_store(),
            ..rule(
                "ingest-lag",
                health(health::INGEST_LAG_SECONDS),
                Comparison::Above,
                60.0,
                Severity::Warning,
                "look at Infra, ingest: a paused reader names its reason; a store that is too slow shows in its latency",
            )
        },
        Rule {
            clear: Some(0.4),
            inhibited_by: behind_a_store(),
            ..rule(
                "spool",
                health(health::SPOOL_USED_RATIO),
                Comparison::Above,
                0.5,
                Severity::Warning,
                "the log store does not follow: bring it back or make it faster, or allow a larger spool (`ingest.spool.max_bytes`)",
            )
        },
        rule(
            "change-failure-rate",
            Measure::Dora {
                metric: Metric::ChangeFailureRate,
                days: 30,
                service: None,
                team: None,
            },
            Comparison::Above,
            0.15,
            Severity::Warning,
            "open the failed deployments of DORA, look for what they have in common, and plan a PDCA cycle on it",
        ),
        Rule {
            hold: Duration::ZERO,
            ..rule(
                "notification-dead",
                health(health::DEAD_MESSAGES),
                Comparison::AtLeast,
                1.0,
                Severity::Critical,
                "a channel took nothing for a day: see `atalaya alerts channels` for what it answered, mend it, and try `atalaya alerts test`",
            )
        },
    ];
    rules.sort_by(|left, right| left.name.cmp(&right.name));
    rules
}

/// What a store that is away brings with it.
fn behind_a_store() -> Vec<String> {
    ["cassandra-node-down", "store-down"]
        .map(str::to_owned)
        .to_vec()
}

fn rule(
    name: &str,
    measure: Measure,
    when: Comparison,
    threshold: f64,
    severity: Severity,
    todo: &str,
) -> Rule {
    Rule {
        name: name.to_owned(),
        measure,
        when,
        threshold,
        clear: None,
        hold: Duration::ZERO,
        severity,
        labels: BTreeMap::new(),
        channels: Vec::new(),
        todo: todo.to_owned(),
        inhibited_by: Vec::new(),
        origin: RuleOrigin::BuiltIn,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_says_what_to_do() {
        let rules = rules();
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names.len(), rules.len());
        for rule in &rules {
            assert!(rule.todo.len() > 20, "{}", rule.name);
            assert!(
                rule.inhibited_by
                    .iter()
                    .all(|by| names.contains(by.as_str())),
                "{}",
                rule.name
            );
            // A value that has cleared is not beyond the threshold.
            if let Some(clear) = rule.clear {
                assert!(!rule.is_breached(clear), "{}", rule.name);
            }
        }
    }
}
