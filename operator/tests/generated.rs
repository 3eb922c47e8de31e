//! What is generated from the code is committed and current.

use std::fs;
use std::path::Path;

use clap::Parser;
use ecs_operator::cli::{Cli, Command};

#[test]
fn generated_files_are_current() {
    let crds = ecs_operator::crd::yaml().expect("the definitions can be printed");
    let Command::IamPolicy(defaults) = Cli::parse_from(["ecs-operator", "iam-policy"]).command
    else {
        unreachable!()
    };
    let policy = ecs_operator::iam::json(&defaults);
    for (path, current) in [
        ("charts/ecs-operator/files/crds.yaml", crds),
        ("deploy/iam-policy.json", policy),
        ("docs/reasons.md", ecs_operator_crds::condition::page()),
        ("docs/metrics.md", ecs_operator::metrics::page()),
    ] {
        let committed =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path))
                .expect("it is committed");
        assert!(committed == current, "{path} is stale: run `make generate`");
    }
}
