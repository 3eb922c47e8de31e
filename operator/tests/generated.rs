//! What is generated from the code is committed and current.

use std::fs;
use std::path::Path;

#[test]
fn the_committed_definitions_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ecs-operator/crds/crds.yaml");
    let committed = fs::read_to_string(path).expect("the definitions are committed");
    let current = ecs_operator::crd::yaml().expect("the definitions can be printed");
    assert!(committed == current, "charts/ecs-operator/crds/crds.yaml is stale: run `make crds`");
}
