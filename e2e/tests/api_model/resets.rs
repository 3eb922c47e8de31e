//! The tables of what is reset when the spec drops it, against the API.

use e2e::api_model::{self, Member, Members};
use ecs_operator::kinds::{
    ecr_repository as repository, ecs_capacity_provider as capacity_provider,
    ecs_cluster as cluster, ecs_service as service,
};
use ecs_operator::reconcile::kind::Reset;

use crate::kinds::{definition, kind};
use crate::model;

/// Whether `path` is `listed`, or lies in it.
fn is_in(path: &str, listed: &str) -> bool {
    path.strip_prefix(listed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Members that are set back, and members that stay and why.
type Tables = (&'static [Reset], &'static [(&'static str, &'static str)]);

/// Members of a spec that the operator sends as the text of another call.
const SENT_AS_TEXT: &[&str] = &[
    "lifecyclePolicy",
    "repositoryPolicy",
    "repositoryPolicyText",
];

/// Each member of an update is taken back when the spec drops it, or its description says that it
/// stays. Elements of a list are replaced with the list.
#[tokio::test]
async fn every_member_of_an_update_is_set_back_or_said_to_stay() {
    let tables: [(&str, &[&str], &[&str], Tables); 4] = [
        (
            "EcsCluster",
            &["UpdateCluster", "PutClusterCapacityProviders"],
            &["cluster"],
            (cluster::RESETS, cluster::STAYS),
        ),
        (
            "EcsService",
            &["UpdateService"],
            &["cluster", "forceNewDeployment", "service"],
            (service::RESETS, service::STAYS),
        ),
        (
            "EcrRepository",
            &[
                "PutImageTagMutability",
                "PutImageScanningConfiguration",
                "PutLifecyclePolicy",
            ],
            &["registryId", "repositoryName"],
            (repository::RESETS, repository::STAYS),
        ),
        (
            "EcsCapacityProvider",
            &["UpdateCapacityProvider"],
            &["cluster", "name"],
            (capacity_provider::RESETS, capacity_provider::STAYS),
        ),
    ];
    for (name, operations, own, (resets, stays)) in tables {
        let model = model(kind(name).service).await;
        let inputs = operations
            .iter()
            .flat_map(|operation| api_model::input(&model, operation).expect("a known operation"));
        let input: Members = inputs.collect();
        let described = api_model::spec(&definition(name));
        let is_leaf = |path: &str, member: &Member| {
            member.kind != "object" && !path.contains("[]") && !path.contains("{}")
        };
        let leaves: Vec<_> = input
            .iter()
            .filter(|(path, member)| is_leaf(path, member))
            .map(|(path, _)| path.as_str())
            .collect();
        for path in leaves.iter().filter(|path| !own.contains(path)) {
            let reset = resets.iter().any(|(listed, _)| is_in(path, listed));
            let stay = stays.iter().any(|(listed, _)| is_in(path, listed));
            assert!(
                reset != stay,
                "{path} is in RESETS ({reset}) or in STAYS ({stay})"
            );
        }
        for (listed, _) in stays {
            assert!(
                leaves.iter().any(|path| is_in(path, listed)),
                "{operations:?} have no {listed}"
            );
            let text = described[*listed]
                .values
                .join(" ")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let says = text.contains("they stay") || text.contains("it stays");
            let is_needed = ["subnets", "taskDefinition", "infrastructureRoleArn"]
                .iter()
                .any(|member| listed.ends_with(member));
            assert!(
                says != is_needed,
                "the description of {listed} says whether it stays"
            );
        }
        for (listed, _) in resets {
            assert!(
                leaves.iter().any(|path| is_in(path, listed)) || SENT_AS_TEXT.contains(listed),
                "{operations:?} have no {listed}"
            );
        }
    }
}
