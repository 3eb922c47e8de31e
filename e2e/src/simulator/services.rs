//! The calls about services. Source: ECS API, CreateService to StopServiceDeployment.

use serde_json::{Value, json};

use super::account::{Account, name_in, resource};
use super::clock::Moment;
use super::clusters::members;
use super::deployment::{Deployment, Status};
use super::refusal::Refusal;
use super::service::{Service, State};
use super::tags::Tags;
use super::task_definitions::page;

/// Members of CreateService and UpdateService that are no part of the description.
const NOT_SHOWN: &[&str] = &[
    "clientToken",
    "cluster",
    "desiredCount",
    "forceNewDeployment",
    "service",
    "serviceConnectConfiguration",
    "serviceName",
    "tags",
    "taskDefinition",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// Members of UpdateService that start no deployment.
const WITHOUT_DEPLOYMENT: &[&str] = &[
    "cluster",
    "deploymentConfiguration",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "forceNewDeployment",
    "healthCheckGracePeriodSeconds",
    "propagateTags",
    "service",
];

/// What ECS shows of members that a request leaves out. Source: ECS API, CreateService.
fn defaults() -> [(&'static str, Value); 4] {
    [
        ("schedulingStrategy", "REPLICA".into()),
        (
            "deploymentConfiguration",
            json!({"maximumPercent": 200, "minimumHealthyPercent": 100}),
        ),
        ("enableExecuteCommand", false.into()),
        ("enableECSManagedTags", false.into()),
    ]
}

fn not_found() -> Refusal {
    Refusal::new("ServiceNotFoundException", "Service not found.")
}

fn count(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

impl Account {
    /// The service that a request names, whatever its state.
    fn service_of(&mut self, request: &Value, member: &str) -> Result<&mut Service, Refusal> {
        let name = name_in(request[member].as_str().unwrap_or_default()).to_owned();
        self.cluster_of(request)?
            .services
            .get_mut(&name)
            .ok_or_else(not_found)
    }

    pub(super) fn create_service(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let name = request["serviceName"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let token = request["clientToken"].as_str().map(str::to_owned);
        let (place, cluster) = (self.place.clone(), self.cluster_of(request)?);
        match cluster.services.get(&name) {
            // The same token has the same reply, and nothing is created.
            Some(service)
                if service.state == State::Active
                    && token.is_some()
                    && service.client_token == token =>
            {
                return Ok(json!({"service": service.json(&place, request)}));
            }
            Some(service) if service.state == State::Active => {
                return Err(Refusal::parameter(
                    "Creation of service was not idempotent.",
                ));
            }
            Some(service) if service.state == State::Draining => {
                return Err(Refusal::parameter(
                    "Unable to Start a service that is still Draining.",
                ));
            }
            _ => {}
        }
        let task_definition =
            self.active(request["taskDefinition"].as_str().unwrap_or_default())?;
        let cluster = name_in(request["cluster"].as_str().unwrap_or("default")).to_owned();
        let mut service = Service {
            arn: self.arn(&format!("service/{cluster}/{name}")),
            name,
            cluster: cluster.clone(),
            desired: count(&request["desiredCount"]).unwrap_or(1),
            members: members(request, NOT_SHOWN),
            tags: Tags::of(request),
            client_token: token,
            created: now,
            ..Service::default()
        };
        for (member, default) in defaults() {
            service.members.entry(member).or_insert(default);
        }
        self.deploy(&mut service, task_definition, now);
        let json = service.json(&place, &json!({"include": ["TAGS"]}));
        self.cluster_of(request)?
            .services
            .insert(service.name.clone(), service);
        Ok(json!({"service": json}))
    }

    /// Starts a deployment of a new service revision. One that is in progress ends.
    fn deploy(&mut self, service: &mut Service, task_definition: String, now: Moment) {
        let source = service.target();
        if let Some(last) = service
            .deployments
            .last_mut()
            .filter(|last| !last.has_ended())
        {
            last.reason = Some("Superseded by another deployment.".to_owned());
            last.end(Status::Stopped, now);
        }
        service.revisions.push(task_definition);
        let (cluster, name, id) = (&service.cluster, &service.name, self.id());
        service.deployments.push(Deployment {
            arn: self.arn(&format!("service-deployment/{cluster}/{name}/{id}")),
            revision: service.revisions.len() - 1,
            source,
            created: now,
            ..Deployment::default()
        });
    }

    pub(super) fn update_service(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let service = self.service_of(request, "service")?;
        if service.state != State::Active {
            return Err(Refusal::new(
                "ServiceNotActiveException",
                "Service was not ACTIVE.",
            ));
        }
        let mut service = service.clone();
        let present = service
            .target()
            .map(|target| service.revisions[target].clone())
            .unwrap_or_default();
        let task_definition = match request["taskDefinition"].as_str() {
            Some(name) => self.active(name)?,
            None => present.clone(),
        };
        if let Some(desired) = count(&request["desiredCount"]) {
            service.desired = desired;
        }
        let changed = members(request, NOT_SHOWN);
        let differs = |(name, value): (&String, &Value)| {
            !WITHOUT_DEPLOYMENT.contains(&name.as_str()) && service.members.get(name) != Some(value)
        };
        let starts = changed.iter().any(differs)
            || task_definition != present
            || request["forceNewDeployment"] == true
            || [
                "serviceConnectConfiguration",
                "volumeConfigurations",
                "vpcLatticeConfigurations",
            ]
            .iter()
            .any(|member| !request[*member].is_null());
        service.members.extend(changed);
        if starts {
            self.deploy(&mut service, task_definition, now);
        }
        let json = service.json(&self.place, request);
        *self.service_of(request, "service")? = service;
        Ok(json!({"service": json}))
    }

    /// Stops all tasks. Without `force`, only a service without wanted tasks.
    pub(super) fn delete_service(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let place = self.place.clone();
        let service = self.service_of(request, "service")?;
        if service.state == State::Inactive {
            return Err(Refusal::new(
                "ServiceNotActiveException",
                "Service was not ACTIVE.",
            ));
        }
        if service.desired > 0 && request["force"] != true {
            let message = "The service cannot be stopped while it is scaled above 0.";
            return Err(Refusal::parameter(message));
        }
        service.state = State::Draining;
        service.desired = 0;
        for task in &mut service.tasks {
            task.stop("Service deleted", now);
        }
        let json = service.json(&place, request);
        let (cluster, name) = (service.cluster.clone(), service.name.clone());
        self.forget_target(&cluster, &name);
        Ok(json!({"service": json}))
    }

    /// At most ten, with what is missing in `failures`.
    pub(super) fn describe_services(&mut self, request: &Value) -> Result<Value, Refusal> {
        let names = request["services"].as_array().cloned().unwrap_or_default();
        if names.is_empty() || names.len() > 10 {
            return Err(Refusal::parameter(
                "Services must have between 1 and 10 members.",
            ));
        }
        let (place, now) = (self.place.clone(), self.now());
        let cluster = self.cluster_of(request)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names.iter().filter_map(Value::as_str).map(name_in) {
            let service = cluster
                .services
                .get(name)
                .filter(|service| !service.is_forgotten(now));
            if let Some(service) = service {
                found.push(service.json(&place, request));
            } else {
                let cluster = name_in(request["cluster"].as_str().unwrap_or("default"));
                let arn = format!("arn:aws:ecs:{place}:service/{cluster}/{name}");
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
        Ok(json!({"services": found, "failures": failures}))
    }

    pub(super) fn list_services(&mut self, request: &Value) -> Result<Value, Refusal> {
        let services = self.cluster_of(request)?.services.values();
        let listed = services.filter(|service| service.state != State::Inactive);
        let arns: Vec<_> = listed.map(|service| service.arn.clone()).collect();
        Ok(page(request, "serviceArns", &arns))
    }

    pub(super) fn describe_service_deployments(&self, request: &Value) -> Value {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        let arns = request["serviceDeploymentArns"]
            .as_array()
            .into_iter()
            .flatten();
        for arn in arns.filter_map(Value::as_str) {
            match self.deployment(arn) {
                Some((service, deployment)) => found.push(deployment.json(service, &self.place)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        json!({"serviceDeployments": found, "failures": failures})
    }

    pub(super) fn describe_service_revisions(&self, request: &Value) -> Value {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        let arns = request["serviceRevisionArns"]
            .as_array()
            .into_iter()
            .flatten();
        for arn in arns.filter_map(Value::as_str) {
            let parts: Vec<_> = resource(arn).split('/').collect();
            let revision = match parts[..] {
                [_, cluster, name, id] => self
                    .clusters
                    .get(cluster)
                    .and_then(|cluster| cluster.services.get(name))
                    .and_then(|service| service.revision_of(id)),
                _ => None,
            };
            match revision {
                Some(task_definition) => {
                    found.push(
                        json!({"serviceRevisionArn": arn, "taskDefinition": task_definition}),
                    );
                }
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        json!({"serviceRevisions": found, "failures": failures})
    }

    pub(super) fn continue_service_deployment(
        &mut self,
        request: &Value,
    ) -> Result<Value, Refusal> {
        let arn = request["serviceDeploymentArn"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let deployment = self.deployment_mut(&arn)?;
        let hook = request["hookId"].as_str();
        let is_meant = |id: &str| hook.is_none_or(|hook| hook == id);
        if !deployment
            .pause
            .as_ref()
            .is_some_and(|pause| is_meant(&pause.id))
        {
            let message = "The service deployment has no hook that awaits an action.";
            return Err(Refusal::parameter(message));
        }
        deployment.pause = None;
        if request["action"] == "ROLLBACK" {
            deployment.status = Status::RollbackRequested;
        } else {
            deployment.continued += 1;
        }
        Ok(json!({"serviceDeploymentArn": arn}))
    }

    pub(super) fn stop_service_deployment(&mut self, request: &Value) -> Result<Value, Refusal> {
        let arn = request["serviceDeploymentArn"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let deployment = self.deployment_mut(&arn)?;
        if deployment.has_ended() {
            let message = "The service deployment is in a terminal state.";
            return Err(Refusal::new("ConflictException", message));
        }
        deployment.pause = None;
        if request["stopType"] == "ABORT" || deployment.source.is_none() {
            deployment.status = Status::StopRequested;
        } else {
            deployment.reason = Some("The service deployment was stopped by a user.".to_owned());
            deployment.status = Status::RollbackRequested;
        }
        Ok(json!({"serviceDeploymentArn": arn}))
    }

    fn deployment(&self, arn: &str) -> Option<(&Service, &Deployment)> {
        let services = self
            .clusters
            .values()
            .flat_map(|cluster| cluster.services.values());
        let mut all = services.flat_map(|service| {
            service
                .deployments
                .iter()
                .map(move |deployment| (service, deployment))
        });
        all.find(|(_, deployment)| deployment.arn == arn)
    }

    fn deployment_mut(&mut self, arn: &str) -> Result<&mut Deployment, Refusal> {
        let services = self
            .clusters
            .values_mut()
            .flat_map(|cluster| cluster.services.values_mut());
        let mut all = services.flat_map(|service| service.deployments.iter_mut());
        let found = all.find(|deployment| deployment.arn == arn);
        let missing = || {
            let message = "Service deployment not found.";
            Refusal::new("ServiceDeploymentNotFoundException", message)
        };
        found.ok_or_else(missing)
    }
}
