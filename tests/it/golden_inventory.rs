//! Every file of the test data with an expected result, and the test that compares it.
//!
//! A file that no row names fails, as does a row without a file or with a test that is gone: what
//! is added to the data cannot stay unread, and a test cannot be dropped unseen.

use std::collections::BTreeSet;
use std::path::Path;

use globset::{Glob, GlobMatcher};

use crate::golden::data_path;

/// Expected results: files, and the test (`module::name`) that compares them.
const EXPECTED: &[(&str, &str)] = &[
    (
        "beats/filebeat/module/nginx/access/test/*-expected.json",
        "golden_web::nginx_access_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/nginx/error/test/*-expected.json",
        "golden_web::nginx_error_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/nginx/ingress_controller/test/*-expected.json",
        "golden_web::nginx_ingress_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/apache/access/test/*-expected.json",
        "golden_web::apache_access_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/apache/error/test/*-expected.json",
        "golden_web::apache_error_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/traefik/access/test/*-expected.json",
        "golden_web::traefik_access_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/system/*/test/*-expected.json",
        "golden_system::syslog_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/elasticsearch/server/test/test.log-expected.json",
        "golden_system::elasticsearch_text_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/elasticsearch/server/test/test-json.log-expected.json",
        "golden_system::elasticsearch_json_agrees_with_beats",
    ),
    (
        "beats/filebeat/module/kibana/log/test/*-expected.json",
        "golden_app::beats_kibana_and_logstash",
    ),
    (
        "beats/filebeat/module/logstash/log/test/*-expected.json",
        "golden_app::beats_kibana_and_logstash",
    ),
    (
        "beats/filebeat/module/postgresql/log/test/*-expected.json",
        "golden_app::beats_postgresql",
    ),
    (
        "beats/filebeat/module/mysql/error/test/*-expected.json",
        "golden_app::beats_mysql_error",
    ),
    (
        "beats/filebeat/module/mysql/slowlog/test/*-expected.json",
        "golden_app::beats_mysql_slow",
    ),
    (
        "go-mysql/expected-events/*.json",
        "golden_app::go_mysql_events",
    ),
    (
        "go-mysql/event/testdata/*.golden",
        "golden_app::go_mysql_totals",
    ),
    (
        "pgbadger/t/exp/stmt_type.out",
        "golden_app::pgbadger_totals",
    ),
    (
        "lnav/test/expected/test_sql.sh_ffbc3dbf*.out",
        "golden_system::access_and_syslog_agree_with_lnav",
    ),
    (
        "lnav/test/expected/test_cmds.sh_eb22c3e9*.out",
        "golden_system::access_and_syslog_agree_with_lnav",
    ),
    (
        "lnav/test/expected/test_sql.sh_2ed3f3b1*.out",
        "golden_system::access_and_syslog_agree_with_lnav",
    ),
    (
        "lnav/test/expected/test_format_loader.sh_15e861d2*.out",
        "golden_system::levels_agree_with_lnav",
    ),
    (
        "lnav/test/expected/test_json_format.sh_84a71e94*.out",
        "golden_system::journald_agrees_with_lnav",
    ),
    (
        "lnav/test/expected/test_demux.sh_f8cbb968*.out",
        "golden_system::docker_compose_agrees_with_lnav",
    ),
    (
        "lnav/test/expected/test_json_format.sh_40223ac4*.out",
        "golden_app::lnav_json",
    ),
    (
        "lnav/test/expected/test_json_format.sh_85d03b1b*.out",
        "golden_app::lnav_json",
    ),
    (
        "lnav/test/expected/test_json_format.sh_6fbe20fa*.out",
        "golden_app::lnav_json",
    ),
    (
        "lnav/test/expected/test_json_format.sh_f6db9850*.out",
        "golden_app::lnav_logfmt_and_ecs",
    ),
    (
        "lnav/test/expected/test_sql.sh_4563a807*.out",
        "golden_app::lnav_logfmt_and_ecs",
    ),
    (
        "lnav/test/expected/test_logfile.sh_9bea6601*.out",
        "golden_app::lnav_logfmt_and_ecs",
    ),
    (
        "lnav/test/expected/test_logfile.sh_74590bc7*.out",
        "golden_app::lnav_line_times",
    ),
    (
        "lnav/test/expected/test_logfile.sh_1fdc7973*.out",
        "golden_app::lnav_line_times",
    ),
    (
        "lnav/test/expected/test_logfile.sh_bc6cce54*.out",
        "golden_app::lnav_line_times",
    ),
    (
        "fluent-bit/tests/runtime/data/tail/out/dockermode*.out",
        "golden_app::fluent_bit_docker",
    ),
    (
        "fluent-bit/tests/runtime/data/tail/out/multiline_001.out",
        "golden_app::fluent_bit_docker",
    ),
    (
        "fluent-bit/tests/runtime/data/tail/out/generic_enc_*.out",
        "golden_app::fluent_bit_encodings",
    ),
    (
        "fluent-bit/tests/runtime/data/tail/out/3943.out",
        "golden_app::fluent_bit_encodings",
    ),
    (
        "fluent-bit/tests/runtime/data/kubernetes/out/*/*.out",
        "golden_app::fluent_bit_kubernetes",
    ),
    ("humanlog/test/cases/*/want", "golden_app::humanlog_cases"),
    (
        "vrl/cases/parse_key_value.json",
        "golden_app::vrl_key_value",
    ),
    (
        "vrl/cases/parse_{apache_log,common_log,glog,nginx_log,syslog}.json",
        "golden_system::vrl_cases_agree",
    ),
    (
        "angle-grinder/git-history-expected.json",
        "dora_golden::lead_times_of_a_real_project",
    ),
    (
        "devlake/backend/plugins/dora/e2e/prev_success_deployment_commit/cicd_deployment_commits_after.csv",
        "dora_golden::previous_successful_deployments_are_those_of_devlake",
    ),
    (
        "devlake/backend/plugins/dora/e2e/change_lead_time/project_pr_metrics.csv",
        "devlake::stages_of_pull_requests_are_those_of_devlake",
    ),
    (
        "devlake/backend/plugins/github/e2e/snapshot_tables/{_tool_github_jobs,cicd_tasks}.csv",
        "devlake::jobs_of_github_are_those_of_devlake",
    ),
    (
        "devlake/backend/plugins/github/e2e/snapshot_tables/{_tool_github_pull_requests,pull_requests}.csv",
        "devlake::pull_requests_of_github_are_those_of_devlake",
    ),
    (
        "devlake/backend/plugins/github/e2e/snapshot_tables/_tool_github_pull_request_reviews.csv",
        "devlake::reviews_of_github_are_those_of_devlake",
    ),
    (
        "devlake/backend/plugins/linker/e2e/snapshot_tables/pull_request_issues.csv",
        "devlake::issues_of_pull_requests_are_those_of_devlake",
    ),
];

/// Inputs whose expected result stands in the data's README, not in a file.
const TOLD: &[(&str, &str)] = &[
    (
        "pgbadger/t/fixtures/{light.postgres.log.bz2,begin_end.log}",
        "golden_app::pgbadger_totals",
    ),
    (
        "pgbadger/t/fixtures/{pg-timezones.log,logplex.gz,multiline_param.log}",
        "golden_app::pgbadger_totals",
    ),
    (
        "pgbadger/t/fixtures/{tempfile_only.log.gz,queryid.log.gz,weeknumber.log}",
        "golden_app::pgbadger_totals",
    ),
    (
        "pgbadger/t/fixtures/pg_vacuums.json.gz",
        "golden_app::pgbadger_jsonlog",
    ),
    (
        "lnav/test/logfile_rollover.0",
        "golden_system::times_without_a_date_roll_over_midnight",
    ),
    (
        "elastic-examples/apache_logs/apache_logs",
        "golden_system::the_agent_that_a_line_ends_in_is_kept",
    ),
];

/// Whatever else is there: inputs of the above, and samples that nobody says anything of.
const INPUTS: &[&str] = &[
    // Our own, not third parties'; `readers` compares the copies in `tests/data`.
    "cases/**",
    "beats/filebeat/module/*/*/test/*.log",
    "beats/filebeat/tests/files/logs/*",
    "go-mysql/test/slow-logs/*.log",
    "pgbadger/t/fixtures/stmt_type.log",
    "lnav/test/logfile_*",
    "fluent-bit/tests/runtime/data/tail/log/*.log",
    "fluent-bit/tests/runtime/data/kubernetes/log/*/*.log",
    "humanlog/test/cases/*/{input,config.json}",
    "humanlog/test/benchmark/*/*.gz",
    "{hl,klp,fblog,django-structlog}/**",
    "angle-grinder/git-history.tsv",
    "angle-grinder/test_files/*",
    "devlake/backend/plugins/github/e2e/raw_tables/*.csv",
    "devlake/backend/plugins/dora/e2e/*/*.csv",
    "devlake/backend/plugins/linker/e2e/snapshot_tables/*.csv",
    "octokit-webhooks/payload-examples/**",
    "octokit-fixtures/scenarios/**",
];

fn files(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, root, found);
            continue;
        }
        let name = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .to_ascii_uppercase();
        if !["LICENSE", "NOTICE", "APACHE-LICENSE", "README"]
            .iter()
            .any(|word| name.starts_with(word))
        {
            found.insert(
                path.strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
}

fn glob(pattern: &str) -> GlobMatcher {
    Glob::new(pattern).unwrap().compile_matcher()
}

/// Whether `module::name` is a test of this binary.
fn is_a_test(path: &str) -> bool {
    let (module, name) = path.split_once("::").unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{module}.rs"));
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    text.contains(&format!("#[test]\nfn {name}()"))
}

#[test]
fn every_file_with_an_expected_result_has_a_test() {
    let root = data_path("");
    let mut all = BTreeSet::new();
    files(&root, &root, &mut all);
    assert!(
        all.len() > 200,
        "the test data was not found: {} files",
        all.len()
    );
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (pattern, test) in EXPECTED.iter().chain(TOLD) {
        if !is_a_test(test) {
            wrong.push(format!("{test} is no test"));
        }
        let matcher = glob(pattern);
        let matching: Vec<&String> = all.iter().filter(|file| matcher.is_match(file)).collect();
        if matching.is_empty() {
            wrong.push(format!("{pattern}: no such file"));
        }
        for file in matching {
            if !seen.insert(file) {
                wrong.push(format!("{file}: two rows"));
            }
        }
    }
    let inputs: Vec<GlobMatcher> = INPUTS.iter().map(|pattern| glob(pattern)).collect();
    for file in all.difference(&seen.into_iter().cloned().collect()) {
        let looks_expected = [
            "expected",
            ".golden",
            ".out",
            "/want",
            "snapshot_tables/_tool",
        ]
        .iter()
        .any(|sign| file.contains(sign));
        if looks_expected || !inputs.iter().any(|matcher| matcher.is_match(file)) {
            wrong.push(format!("{file}: no test compares it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
