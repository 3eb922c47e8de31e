//! Events of ECS: which service or task each is about.

use serde_json::Value;

use super::keys::ServiceKey;
use super::rollouts::ServiceDeploymentKey;
use super::tasks::TaskKey;
use crate::aws::name_in;
use crate::aws::observer::Observer;

/// Most ARNs that are taken from one event; those of ECS name a handful.
const ARNS: usize = 100;

/// Reads the services and tasks that `event` is about again soon, services with their service
/// deployments. Returns whether an object watches one of them.
pub fn hint(observer: &Observer, event: &Value) -> bool {
    let services = services(event);
    let services = services
        .iter()
        .filter(|service| hint_service(observer, service))
        .count();
    let task = task(event).is_some_and(|task| !observer.cache::<TaskKey>().hint(&task).is_empty());
    services > 0 || task
}

/// The task of an "ECS Task State Change" event.
fn task(event: &Value) -> Option<TaskKey> {
    let detail = &event["detail"];
    Some(TaskKey {
        cluster: name_in(detail["clusterArn"].as_str()?).to_owned(),
        arn: detail["taskArn"].as_str()?.to_owned(),
    })
}

fn hint_service(observer: &Observer, service: &ServiceKey) -> bool {
    let watchers = observer.cache::<ServiceKey>().hint(service);
    let deployments = observer.cache::<ServiceDeploymentKey>();
    for watcher in &watchers {
        deployments.hint_of(watcher, |deployment| deployment.is_of(service));
    }
    !watchers.is_empty()
}

/// The services that an event is about. Source: "Amazon ECS events", ECS developer guide.
fn services(event: &Value) -> Vec<ServiceKey> {
    let detail = &event["detail"];
    let listed = event["resources"].as_array().into_iter().flatten();
    let named = [&detail["serviceArn"], &detail["serviceDeploymentArn"]];
    let arns = named.into_iter().chain(listed).filter_map(Value::as_str);
    let mut services: Vec<_> = arns.take(ARNS).filter_map(service_in).collect();
    // A task says by its group which service it is of.
    let group = detail["group"]
        .as_str()
        .and_then(|group| group.strip_prefix("service:"));
    if let (Some(name), Some(cluster)) = (group, detail["clusterArn"].as_str()) {
        services.push(ServiceKey {
            cluster: name_in(cluster).to_owned(),
            name: name.to_owned(),
        });
    }
    services.sort();
    services.dedup();
    services
}

/// The service in `arn:…:service/CLUSTER/NAME` or `arn:…:service-deployment/CLUSTER/NAME/ID`.
fn service_in(arn: &str) -> Option<ServiceKey> {
    let (_, resource) = arn.rsplit_once(':')?;
    let mut parts = resource.split('/');
    let (kind, cluster, name) = (parts.next()?, parts.next()?, parts.next()?);
    matches!(kind, "service" | "service-deployment").then(|| ServiceKey {
        cluster: cluster.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(event: &Value) -> Vec<String> {
        services(event)
            .iter()
            .map(|key| format!("{}/{}", key.cluster, key.name))
            .collect()
    }

    #[test]
    fn every_kind_of_event_names_its_service() {
        let arn = |resource: &str| format!("arn:aws:ecs:eu-central-1:111122223333:{resource}");
        let task = json!({"detail-type": "ECS Task State Change", "resources": [arn("task/shop/0123")],
            "detail": {"clusterArn": arn("cluster/shop"), "group": "service:web", "lastStatus": "STOPPED"}});
        let action = json!({"detail-type": "ECS Service Action", "resources": [arn("service/shop/web")],
            "detail": {"eventName": "SERVICE_STEADY_STATE", "clusterArn": arn("cluster/shop")}});
        let hook = json!({"detail-type": "ECS Hook State Change", "resources": [arn("service-deployment/shop/web/x1")],
            "detail": {"serviceArn": arn("service/shop/web")}});
        for event in [task, action, hook] {
            assert_eq!(named(&event), ["shop/web"], "{event}");
        }
    }

    #[test]
    fn the_event_of_a_task_names_it() {
        let arn = "arn:aws:ecs:eu-central-1:1:task/shop/0123";
        let event = json!({"detail": {"clusterArn": "arn:aws:ecs:eu-central-1:1:cluster/shop", "taskArn": arn, "group": "family:job"}});
        let named = task(&event).map(|task| (task.cluster, task.arn));
        assert_eq!(named, Some(("shop".to_owned(), arn.to_owned())));
        assert_eq!(task(&json!({"detail": {"taskArn": arn}})), None);
    }

    #[test]
    fn a_long_event_is_not_read_to_its_end() {
        let arn = |number: usize| {
            format!("arn:aws:ecs:eu-central-1:111122223333:service/shop/web-{number}")
        };
        let event = json!({"resources": (0..10 * ARNS).map(arn).collect::<Vec<_>>()});
        assert_eq!(services(&event).len(), ARNS);
    }

    #[test]
    fn events_without_a_service_name_none() {
        let group = json!({"detail": {"clusterArn": "arn:aws:ecs:e:1:cluster/shop", "group": "family:job"}});
        let old = json!({"resources": ["arn:aws:ecs:eu-central-1:111122223333:service/web"]});
        for event in [
            group,
            old,
            json!({}),
            json!([1]),
            json!("text"),
            json!({"resources": 7, "detail": [null]}),
        ] {
            assert_eq!(named(&event), [""; 0], "{event}");
        }
    }
}
