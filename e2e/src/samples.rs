//! The sample manifests, as tests vary them.

/// The sample cluster.
pub const CLUSTER: &str = include_str!("../../samples/cluster.yaml");

/// The sample task definition.
pub const TASK_DEFINITION: &str = include_str!("../../samples/task-definition.yaml");

/// The sample service.
pub const SERVICE: &str = include_str!("../../samples/service.yaml");

/// All of them in one stream.
pub const SAMPLES: &str = concat!(
    include_str!("../../samples/cluster.yaml"),
    "---\n",
    include_str!("../../samples/task-definition.yaml"),
    "---\n",
    include_str!("../../samples/service.yaml"),
);

/// The samples with a task of one plain container, so that its fate is the task's: a server with an
/// engine would look for secrets.
#[must_use]
pub fn plain(image: &str) -> String {
    let definition = "apiVersion: ecs-operator.dev/v1beta1
kind: EcsTaskDefinition
metadata:
  name: web
spec:
  requiresCompatibilities: [FARGATE]
  networkMode: awsvpc
  cpu: \"256\"
  memory: \"512\"
  containerDefinitions:
    - name: web
";
    format!("{CLUSTER}---\n{definition}      image: {image}\n---\n{SERVICE}")
}
